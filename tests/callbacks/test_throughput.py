"""Tokens per second and peak memory, at the steps that are logged."""

from collections.abc import Callable

import pytest

from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

MODEL = ["model.layers=1", "model.width=16", "model.heads=2"]
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


def test_speed_agrees_with_the_clock(train: Callable[..., RunFolder]):
    """Two logged steps apart, the tokens between them took no longer than the clock says."""
    folder = train(
        *MODEL, "callbacks=[throughput]", "budget.steps=8", "trainer.log_every_n_steps=4",
        "trainer.val_every_n_steps=8",
    )  # fmt: skip
    first, second = (row for row in read_metrics(folder.metrics) if SPEED in row)
    assert second["tokens"] - first["tokens"] == 4 * 4 * 16
    spent = 4 * 4 * 16 / second[SPEED]
    clock = second["seconds"] - first["seconds"]
    assert spent == pytest.approx(clock, rel=0.5, abs=0.005)


def test_validation_time_is_left_out(train: Callable[..., RunFolder]):
    """A validation before the logged step: only the steps after it are counted."""
    folder = train(
        *MODEL, "callbacks=[throughput]", "budget.steps=4", "trainer.log_every_n_steps=4",
        "trainer.val_every_n_steps=3", "trainer.limit_val_batches=40",
    )  # fmt: skip
    validated, logged = (row for row in read_metrics(folder.metrics) if row["step"] in (3, 4))
    assert "val/loss" in validated
    assert 1 / logged[SPEED] * 4 * 16 <= logged["seconds"] - validated["seconds"] + 0.002


def test_nothing_is_logged_without_it(train: Callable[..., RunFolder]):
    rows = read_metrics(train(*MODEL).metrics)
    assert rows
    assert not any(SPEED in row or MEMORY in row for row in rows)
