"""Lightning's CSV layout, and what `none` and `many` stand for."""

import csv
from collections.abc import Callable

import pytest
import yaml

from loomlab.run.folder import RunFolder, find_runs
from loomlab.run.metrics_file import read_metrics

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]


def names(folder: RunFolder) -> set[str]:
    return {path.name for path in folder.path.iterdir()}


def test_layout_in_a_folder_that_is_no_run(train: Callable[..., RunFolder]):
    folder = train(*SMALL, "logger=csv", "seed=7")
    assert {path.name for path in (folder.path / "csv").iterdir()} == {
        "metrics.csv", "hparams.yaml",
    }  # fmt: skip
    with (folder.path / "csv" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    own = {row["step"]: row for row in read_metrics(folder.metrics)}
    logged = [row for row in rows if row.get("train/loss")]
    assert [int(row["step"]) for row in logged] == [1, 2]
    for row in logged:
        assert float(row["train/loss"]) == pytest.approx(own[int(row["step"])]["train/loss"])
    assert any(row.get("val/bits_per_byte") for row in rows)
    settings = yaml.safe_load((folder.path / "csv" / "hparams.yaml").read_text())
    assert settings["seed"] == 7
    assert settings["model"]["width"] == 16
    assert settings["choice"]["logger"] == ["csv"]
    assert [run.path for run in find_runs(folder.path.parent)] == [folder.path]


def test_none_leaves_the_runs_own_file(train: Callable[..., RunFolder]):
    folder = train(*SMALL, "logger=none")
    assert "metrics.csv" in names(folder)
    assert not names(folder) & {"csv", "wandb"}
    assert folder.summary()["choice"]["logger"] == []


@pytest.mark.slow
def test_many_are_csv_and_wandb(train: Callable[..., RunFolder]):
    folder = train(*SMALL, "logger=many", "logger.wandb.mode=offline")
    assert names(folder) >= {"metrics.csv", "csv", "wandb"}
    assert set(folder.summary()["choice"]["logger"]) == {"csv", "wandb"}
