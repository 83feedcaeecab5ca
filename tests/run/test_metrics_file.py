"""metrics.csv: one row per step, its cost beside it, whole whatever columns come later."""

import errno
import math
import resource
from pathlib import Path

import pytest

from loomlab.run.metrics_file import COST_COLUMNS, MetricsFile, read_metrics


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


@pytest.fixture
def metrics(path: Path) -> MetricsFile:
    return MetricsFile(path, tokens_per_step=64, flops_per_step=1.5e6)


def test_a_row_says_what_it_had_cost(metrics: MetricsFile, path: Path):
    metrics.log_metrics({"train/loss": 2.5}, step=3)
    metrics.finalize("success")
    (row,) = read_metrics(path)
    assert list(row) == [*COST_COLUMNS, "train/loss"]
    assert (row["step"], row["tokens"], row["flops"]) == (3, 192, 4.5e6)
    assert row["train/loss"] == 2.5
    assert 0 <= row["seconds"] < 5
    assert metrics.costs(3) == {name: row[name] for name in ("tokens", "flops", "seconds")}


def test_numbers_of_one_step_share_a_row(metrics: MetricsFile, path: Path):
    for step in (1, 2):
        metrics.log_metrics({"train/loss": 3.0 / step}, step=step)
        metrics.log_metrics({"val/loss": 6.0 / step}, step=step)
    metrics.save()
    rows = read_metrics(path)
    assert [row["step"] for row in rows] == [1, 2]
    assert [(row["train/loss"], row["val/loss"]) for row in rows] == [(3, 6), (1.5, 3)]


def test_a_row_saved_early_is_completed_later(metrics: MetricsFile, path: Path):
    """A checkpoint has the row of its step written before the validation of that step."""
    for step in (1, 2):
        metrics.log_metrics({"train/loss": 3.0 * step}, step=step)
        metrics.save()
        assert read_metrics(path)[-1]["train/loss"] == 3 * step
        metrics.log_metrics({"val/loss": 4.0 * step}, step=step)
        metrics.save()
    rows = read_metrics(path)
    assert [(r["step"], r["train/loss"], r["val/loss"]) for r in rows] == [(1, 3, 4), (2, 6, 8)]
    metrics.finalize("success")
    assert read_metrics(path) == rows


def test_a_new_column_leaves_earlier_cells_empty(metrics: MetricsFile, path: Path):
    metrics.log_metrics({"train/loss": 3.0}, step=1)
    metrics.log_metrics({"train/loss": 2.0, "val/loss": 2.5}, step=2)
    metrics.log_metrics({"train/loss": 1.0}, step=3)
    metrics.save()
    assert ["val/loss" in row for row in read_metrics(path)] == [False, True, False]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "step,tokens,flops,seconds,train/loss,val/loss"
    assert {line.count(",") for line in lines} == {5}
    assert [p.name for p in path.parent.iterdir()] == ["metrics.csv"]


def test_last_is_the_newest_value_of_each_column(metrics: MetricsFile):
    metrics.log_metrics({"train/loss": 3.0, "val/loss": 4.0}, step=1)
    metrics.log_metrics({"train/loss": 2.0}, step=2)
    last = metrics.last()
    assert (last["step"], last["train/loss"], last["val/loss"]) == (2, 2.0, 4.0)


def test_numbers_come_back_as_they_were(metrics: MetricsFile, path: Path):
    given = {"a": 0.1 + 0.2, "b": math.inf, "c": 1e-300, "d": 7.0}
    metrics.log_metrics(given, step=1)
    metrics.save()
    (row,) = read_metrics(path)
    assert {key: row[key] for key in given} == given
    metrics.log_metrics({"a": math.nan}, step=2)
    metrics.save()
    assert math.isnan(read_metrics(path)[1]["a"])


def test_a_row_that_does_not_fit_on_the_disk_is_not_there_by_half(
    metrics: MetricsFile, path: Path
):
    for step in (1, 2):
        metrics.log_metrics({"train/loss": 1.0 / step}, step=step)
        metrics.save()
    before = path.read_bytes()
    metrics.log_metrics({"train/loss": 0.3}, step=3)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 4, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left") as full:
            metrics.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert full.value.errno == errno.ENOSPC
    assert path.read_bytes() == before


def test_continue_drops_what_the_checkpoint_does_not_know(metrics: MetricsFile, path: Path):
    for step in range(1, 6):
        metrics.log_metrics({"train/loss": 1.0 / step}, step=step)
    metrics.save()
    spent = read_metrics(path)[2]["seconds"]
    later = MetricsFile(path, tokens_per_step=64, flops_per_step=1.5e6)
    later.continue_from(3)
    later.start_clock()
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 3]
    assert later.seconds() >= spent
    later.log_metrics({"train/loss": 9.0, "val/loss": 1.0}, step=4)
    later.save()
    rows = read_metrics(path)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["seconds"] >= spent
    assert rows[0]["train/loss"] == 1


@pytest.mark.parametrize("torn", ["1", "1,6", "11,704,16500000,0.5,0.1", "\0\0\0"])
def test_a_row_that_a_crash_has_cut_off_is_dropped(metrics: MetricsFile, path: Path, torn: str):
    for step in range(1, 11):
        metrics.log_metrics({"train/loss": 1.0 / step}, step=step)
    metrics.save()
    whole = read_metrics(path)
    with path.open("a") as file:
        file.write(torn)
    later = MetricsFile(path, tokens_per_step=64, flops_per_step=1.5e6)
    later.continue_from(11)
    assert read_metrics(path) == whole
    assert later.spent_before == whole[-1]["seconds"]


def test_continue_without_a_file_starts_one(metrics: MetricsFile, path: Path):
    metrics.continue_from(3)
    assert not path.exists()
    metrics.log_metrics({"train/loss": 1.0}, step=4)
    metrics.save()
    assert [row["step"] for row in read_metrics(path)] == [4]
