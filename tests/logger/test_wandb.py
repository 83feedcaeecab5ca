"""Weights and Biases, offline with the real client; files are read with its own reader."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import wandb

from loomlab.logger.wandb import Wandb, finish, has_key
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

RUN = [
    *("model.layers=1", "model.width=16", "model.heads=2"),
    *("logger=wandb", "logger.wandb.mode=offline"),
]


@pytest.fixture(autouse=True)
def _no_run_is_left_open():
    yield
    left = wandb.run
    finish(1)
    assert left is None


def run_files(folder: RunFolder) -> list[Path]:
    return sorted((folder.path / "wandb").glob("offline-run-*/run-*.wandb"))


def records(file: Path) -> list[dict]:
    """All records of a run, by `wandb leet inspect`."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def of_kind(found: list[dict], kind: str) -> list[dict]:
    return [record[kind] for record in found if record["type"] == kind]


def test_history_config_and_end_are_in_the_file(train: Callable[..., RunFolder]):
    folder = train(*RUN, "seed=3", "name=named", "logger.wandb.tags=[one,two]")
    (file,) = run_files(folder)
    found = records(file)
    (run,) = of_kind(found, "run")
    config = run["config"]["update"]
    assert config["seed"] == 3
    assert config["model"]["width"] == 16
    assert config["choice"]["optimizer"] == "adamw"
    history = [record["item"] for record in of_kind(found, "history")]
    for row in read_metrics(folder.metrics):
        at_step = [item for item in history if item["trainer/global_step"] == row["step"]]
        sent = {key: value for item in at_step for key, value in item.items()}
        for key in ("train/loss", "train/lr", "val/bits_per_byte"):
            assert sent[key] == pytest.approx(row[key])
    assert [end["exit_code"] for end in of_kind(found, "exit")] == [0]
    assert run["display_name"] == "named"
    assert run["project"] == "loomlab"
    assert run["tags"] == ["one", "two"]


def test_two_runs_of_one_process_are_two_runs(train: Callable[..., RunFolder]):
    folders = [train(*RUN, f"seed={seed}", folder=f"run{seed}") for seed in (1, 2)]
    files = [file for folder in folders for file in run_files(folder)]
    assert len(files) == 2
    assert files[0].name != files[1].name
    for folder, file in zip(folders, files, strict=True):
        assert file.is_relative_to(folder.path)
        found = records(file)
        steps = [record["item"]["trainer/global_step"] for record in of_kind(found, "history")]
        assert steps == [1, 1, 2, 2], "its own steps and no others"
        (run,) = of_kind(found, "run")
        assert run["config"]["update"]["seed"] == folder.config().seed


def test_a_folder_always_has_the_same_id(tmp_path: Path):
    """So that a resumed run goes on in the W&B run it began in."""
    ids = []
    for folder in ("one", "one", "two"):
        (tmp_path / folder).mkdir(exist_ok=True)
        option = Wandb(mode="disabled")
        logger = option.build(run_dir=tmp_path / folder, name="x", config={})
        ids.append(logger._id)
        finish(0)
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]
    assert all(len(i) == 12 and i.isalnum() for i in ids)


def test_a_failed_run_is_ended_as_failed(train: Callable[..., RunFolder], tmp_path: Path):
    (tmp_path / "run" / "metrics.csv").mkdir(parents=True)  # its first row cannot be written
    with pytest.raises(IsADirectoryError):
        train(*RUN)
    assert wandb.run is None
    (file,) = run_files(RunFolder(tmp_path / "run"))
    assert [end["exit_code"] for end in of_kind(records(file), "exit")] == [1]
    assert RunFolder(tmp_path / "run").summary()["status"] == "failed"


def test_disabled_writes_nothing(train: Callable[..., RunFolder]):
    folder = train(*RUN, "logger.wandb.mode=disabled")
    assert run_files(folder) == []
    assert folder.summary()["status"] == "finished"


def test_a_key_is_found_in_the_environment_or_netrc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert not has_key()
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password made-up\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert has_key()
    (tmp_path / ".netrc").write_text("this is no netrc")
    assert not has_key()
    monkeypatch.setenv("WANDB_API_KEY", "made-up")
    assert has_key()
