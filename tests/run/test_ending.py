"""What ends a run is told in one sentence, with an exit code that says which kind it was."""

import errno
import logging
import signal
from pathlib import Path

import pytest

from loomlab.callbacks.guard import Diverged
from loomlab.errors import InputError
from loomlab.run.ending import told
from loomlab.run.ranks import RankFailed
from loomlab.run.shutdown import Stopped
from loomlab.secrets import MASK

FOLDER = Path("runs/first")
AGAIN = "go on with `loom train resume=runs/first`"
FULL = f"the disk of runs/first is full: free some space, then {AGAIN}"


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (InputError("seed is no number"), 2, "seed is no number"),
        (RankFailed("rank 1 hangs"), 1, f"rank 1 hangs; {AGAIN}"),
        (Diverged("the loss is nan"), 1, "the loss is nan"),
        (OSError(errno.ENOSPC, "no space"), 1, FULL),
        (OSError(errno.EDQUOT, "no more for you"), 1, FULL),
        (InputError("key=hush-hush-1234 is none"), 2, f"key={MASK} is none"),
    ],
)
def test_a_sentence_and_a_code(
    end: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setenv("SOME_API_KEY", "hush-hush-1234")
    with pytest.raises(SystemExit) as exit_, told(FOLDER):
        raise end
    output, errors = capsys.readouterr()
    assert (exit_.value.code, output) == (code, "")
    assert errors == f"loom train: {said}\n"


def test_a_signal_is_no_error(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.INFO, "loomlab")
    with pytest.raises(SystemExit) as exit_, told(FOLDER):
        raise Stopped(signal.SIGTERM)
    assert exit_.value.code == 128 + signal.SIGTERM
    assert caplog.messages == [f"stopped by SIGTERM; {AGAIN}"]
    assert capsys.readouterr().err == ""


def test_what_is_a_mistake_of_the_code_stays_what_it_is():
    with pytest.raises(OSError, match="denied"), told(FOLDER):
        raise OSError(errno.EACCES, "denied")
    with pytest.raises(ZeroDivisionError), told(FOLDER):
        raise ZeroDivisionError
