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


def test_look(train: Callable[..., RunFolder]):
    folder = train(*RUN, "seed=3", "name=named")
    (file,) = run_files(folder)
    for r in records(file):
        print(json.dumps(r)[:1500])
    assert read_metrics(folder.metrics)
    assert Wandb and has_key
    assert 0
