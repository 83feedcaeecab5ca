"""`loom validate`: the answer is the exit code, and nothing is written."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.run.folder import RunFolder

Verb = Callable[..., tuple[int, str, str]]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the verb is run."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["model=bert", "objective=mlm"], "valid\n"),
        (["-m", "seed=1,2", "optimizer=adamw,muon"], "4 jobs, all valid\n"),
    ],
    ids=str,
)
def test_valid(verb: Verb, work: Path, arguments: list[str], printed: str):
    assert verb("validate", *arguments) == (0, printed, "")
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
def test_refused(verb: Verb, work: Path, arguments: list[str], words: list[str]):
    code, printed, said = verb("validate", *arguments)
    assert (code, printed) == (2, "")
    assert all(word in said for word in words)
    assert "Traceback" not in said
    assert list(work.iterdir()) == []


def test_what_train_would_not_resume_is_not_valid(
    verb: Verb, train: Callable[..., RunFolder], tmp_path: Path
):
    run = train("model.layers=1", "model.width=16", "model.heads=2", "callbacks=[checkpoint]").path
    assert verb("validate", f"resume={run}") == (0, "valid\n", "")
    for change, words in {
        "seed=5": "a resumed run keeps its outcome axes, but seed",
        "optimizer.lrr=1": "did you mean lr?",
    }.items():
        code, _, said = verb("validate", f"resume={run}", change)
        assert code == 2
        assert words in said
    assert "no run folder is there" in verb("validate", f"resume={tmp_path}")[2]
    (tmp_path / "bare").mkdir()
    for name in ("config.yaml", "overrides.json"):
        shutil.copy(run / name, tmp_path / "bare" / name)
    code, _, said = verb("validate", f"resume={tmp_path / 'bare'}")
    assert code == 2
    assert "no valid checkpoint is in" in said


def test_a_place_that_cannot_be_written_is_not_valid(verb: Verb, tmp_path: Path):
    (tmp_path / "file").write_text("")
    sweep = (["-m", "seed=1,2"], "paths.sweep_dir")
    for arguments, key in (([], "paths.output_dir"), ([], "paths.cache_dir"), sweep):
        code, _, said = verb("validate", *arguments, f"{key}={tmp_path / 'file' / 'below'}")
        assert code == 2
        assert f"{key}=" in said
        assert "cannot be written" in said


def test_conf_folder_in_the_current_directory_of_a_process(
    loom: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
):
    conf = tmp_path / "work" / "conf"
    (conf / "model").mkdir(parents=True)
    (conf / "model" / "tiny.yaml").write_text("defaults: [gpt, _self_]\nlayers: 1\n")
    done = loom("validate", "model=tiny")
    assert (done.returncode, done.stdout, done.stderr) == (0, "valid\n", "")
    done = loom("validate", "model=tiny", "model.layer=2")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean layers?" in done.stderr
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["conf"]


def test_home_is_the_users_home(
    ended: Callable[..., tuple[int, str]], tiny: Callable[..., list[str]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    small = ["model.layers=1", "model.width=16", "model.heads=2", "callbacks=[checkpoint]"]
    given = [o for o in tiny(*small) if not o.startswith("paths")]
    paths = ["paths.output_dir='~/run'", "paths.cache_dir='~/cache'"]
    assert ended("train", *given, *paths)[0] == 0
    assert RunFolder(home / "run").summary()["status"] == "finished"
    assert (home / "cache" / "tokens").is_dir()
    assert list(work.iterdir()) == []
    code, said = ended("train", *given, "hydra.job.chdir=true")
    assert code == 2
    assert "hydra.job.chdir: a run stays in the folder that it was started in" in said
