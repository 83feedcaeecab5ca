"""Tokens per second and peak memory, at the steps that are logged."""

from collections.abc import Callable

import pytest
from tests.clock import Clock

from loomlab.callbacks import throughput
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

MODEL = ["model.layers=1", "model.width=16", "model.heads=2"]
TOKENS = 4 * 16  # of one step
SPEED, MEMORY = "train/tokens_per_second", "system/peak_memory_bytes"


@pytest.mark.parametrize("accumulate", [1, 2])
def test_speed_and_memory_at_logged_steps(train: Callable[..., RunFolder], accumulate: int):
    folder = train(
        *MODEL, "callbacks=[throughput]", "budget.steps=6", "trainer.log_every_n_steps=2",
        "trainer.val_every_n_steps=6", f"trainer.accumulate_grad_batches={accumulate}",
    )  # fmt: skip
    rows = [row for row in read_metrics(folder.metrics) if SPEED in row]
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert all(row[SPEED] > 0 for row in rows)
    assert all(2**20 < row[MEMORY] <= folder.summary()["peak_memory_bytes"] for row in rows)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Half a second from one look to the next; it is looked at when counting starts and ends."""
    clock = Clock(0.5)
    clock.now = 1000.0  # of a machine that has been up for a while
    monkeypatch.setattr(throughput, "time", clock)
    return clock


def test_speed_is_tokens_over_time(train: Callable[..., RunFolder], clock: Clock):
    folder = train(
        *MODEL, "callbacks=[throughput]", "budget.steps=8", "trainer.log_every_n_steps=4",
        "trainer.val_every_n_steps=8",
    )  # fmt: skip
    speeds = [row[SPEED] for row in read_metrics(folder.metrics) if SPEED in row]
    assert speeds == [4 * TOKENS / 0.5] * 2


def test_validation_time_is_left_out(train: Callable[..., RunFolder], clock: Clock):
    """A validation before the logged step: only the step after it is counted."""
    folder = train(
        *MODEL, "callbacks=[throughput]", "budget.steps=4", "trainer.log_every_n_steps=4",
        "trainer.val_every_n_steps=3",
    )  # fmt: skip
    rows = read_metrics(folder.metrics)
    assert "val/loss" in next(row for row in rows if row["step"] == 3)
    assert [row[SPEED] for row in rows if SPEED in row] == [1 * TOKENS / 0.5]


def test_nothing_is_logged_without_it(train: Callable[..., RunFolder]):
    rows = read_metrics(train(*MODEL).metrics)
    assert rows
    assert not any(SPEED in row or MEMORY in row for row in rows)
