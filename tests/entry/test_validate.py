"""`loom validate`: the answer is the exit code, and nothing is written."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Loom = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["model=bert", "objective=mlm"], "valid\n"),
        (["-m", "seed=1,2", "optimizer=adamw,muon"], "4 jobs, all valid\n"),
    ],
    ids=str,
)
def test_valid(loom: Loom, work: Path, arguments: list[str], printed: str):
    done = loom("validate", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=bert", "optimizer.lrr=1"], ["objective=mlm", "did you mean lr?"]),
        (["-m", "model=gpt,bert"], ["2 jobs, 1 refused", "(job 1)"]),
        (["model=gpt,bert"], ["add -m"]),
        (["optimizer=null"], ["null is no option"]),
    ],
    ids=str,
)
def test_refused(loom: Loom, work: Path, arguments: list[str], words: list[str]):
    done = loom("validate", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert all(word in done.stderr for word in words)
    assert "Traceback" not in done.stderr
    assert list(work.iterdir()) == []


def test_conf_folder_in_the_current_directory(loom: Loom, work: Path):
    (work / "conf" / "model").mkdir(parents=True)
    (work / "conf" / "model" / "tiny.yaml").write_text("defaults: [gpt, _self_]\nlayers: 1\n")
    assert loom("validate", "model=tiny").returncode == 0
    done = loom("validate", "model=tiny", "model.layer=2")
    assert "did you mean layers?" in done.stderr
