"""A reader that goes away ends no work, and no verb in a traceback."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from loomlab.entry import cli, pipes
from loomlab.run.folder import RunFolder

PRINTING = ("options", "corpora list", "completion bash", "validate", "options --matrix")
SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]


@contextmanager
def nobody_reads() -> Iterator[None]:
    """Standard output and error lead to readers that have gone."""
    with ExitStack() as opened:
        for redirect in (redirect_stdout, redirect_stderr):
            reader, writer = os.pipe()
            os.close(reader)
            stream = opened.enter_context(os.fdopen(writer, "w", buffering=1))
            opened.callback(pipes.drop, stream)
            opened.enter_context(redirect(stream))
        yield


def ended(arguments: list[str]) -> int:
    with nobody_reads(), pytest.raises(SystemExit) as end:
        cli.main(arguments)
    return int(end.value.code or 0)


@pytest.mark.parametrize("arguments", PRINTING)
def test_a_verb_that_prints_stops(arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert ended(arguments.split()) == 141


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_and_refusals_of_every_verb(verb: str):
    assert ended([verb, "--help"]) in (0, 141)
    assert ended([verb, "--nosuchflag"]) in (1, 2, 141)


@pytest.mark.parametrize("verb", cli.VERBS)
def test_ctrl_c_while_nobody_reads(verb: str, monkeypatch: pytest.MonkeyPatch):
    class Interrupted:
        @staticmethod
        def run(arguments: list[str]) -> int:
            sys.stdout.write("x")
            raise KeyboardInterrupt

    monkeypatch.setattr(cli.importlib, "import_module", lambda name: Interrupted)
    assert ended([verb]) in (130, 141)


def test_training_goes_on(tiny: Callable[..., list[str]], tmp_path: Path):
    assert ended(["train", *tiny(*SMALL, "callbacks=[progress]")]) == 0
    assert RunFolder(tmp_path / "run").summary()["status"] == "finished"


def test_as_a_shell_does_it():
    command = f"{sys.executable} -m loomlab options | head -n 2"
    done: Any = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True
    )
    assert done.stdout.startswith("model")
    assert done.stderr == ""
    assert done.returncode in (0, 141), "141 if the output was cut off"


def test_a_screen_that_lacks_a_letter_shows_an_escape(monkeypatch: pytest.MonkeyPatch):
    """As with LC_ALL=C where Python is told to take it at its word."""
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", screen)
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    print("caf\xe9 \udce9")
    screen.flush()
    assert screen.buffer.getvalue().endswith(b"caf\\xe9 \\udce9\n")  # type: ignore[attr-defined]
