"""The console script: verbs, exit codes, and no traceback for what the user got wrong."""

import subprocess
from collections.abc import Callable

import pytest

from loomlab import __version__
from loomlab.entry.cli import VERBS, main

Loom = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help_names_every_verb(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert all(f"  {verb}" in printed for verb in VERBS)


def test_no_verb_is_a_mistake(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2
    assert "usage: loom" in capsys.readouterr().out


def test_misspelled_verb(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        main(["trian"])
    assert end.value.code == 2
    assert "there is no verb 'trian'; did you mean train?" in capsys.readouterr().err


def test_version(loom: Loom):
    assert loom("--version").stdout == f"loom {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "nowhere"], "nowhere is no run folder"),
        (["generate", "nowhere"], "nowhere is no run folder"),
        (["fill", "nowhere", "a [MASK]"], "nowhere is no run folder"),
        (["evaluate"], "required: RUN_DIR"),
        (["generate", "x", "--top-p", "2"], "outside"),
        (["options", "modle"], "did you mean model?"),
        (["corpora", "show", "gutenbreg"], "did you mean gutenberg?"),
        (["completion", "tcsh"], "bash"),
        (["options", "--config-dir", "nowhere"], "--config-dir nowhere: there is no such folder"),
        (["plan", "seed=1", "--config-dir"], "--config-dir : there is no such folder"),
        (["train", "resume=nowhere"], "nowhere: no run folder is there"),
    ],
    ids=str,
)
def test_mistakes_end_with_code_2_and_a_sentence(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path,
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"loom {arguments[0]}: ")
    assert words in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []
