"""The settings of every parameter group are logged as they were used."""

import csv
from collections.abc import Callable

import pytest

from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

RUN = [
    *("model.layers=1", "model.width=16", "model.heads=2", "callbacks=[lr_monitor]"),
    *("scheduler=linear", "scheduler.warmup=2", "budget.steps=6", "trainer.log_every_n_steps=2"),
]


def rows(folder: RunFolder) -> dict[int, dict[str, float]]:
    return {r["step"]: r for r in read_metrics(folder.metrics) if "lr/group0" in r}


def test_rates_are_those_the_step_was_taken_with(train: Callable[..., RunFolder]):
    folder = train(*RUN, "optimizer.lr=0.01", "optimizer.betas=[0.8,0.9]")
    found = rows(folder)
    assert list(found) == [2, 4, 6]
    assert found[2]["lr/group0"] == pytest.approx(0.01), "the second of two warm-up steps"
    for step, row in found.items():
        assert row["lr/group0"] == row["lr/group1"]
        assert (row["beta1/group0"], row["beta2/group1"]) == pytest.approx((0.8, 0.9))
        same = next(r for r in read_metrics(folder.metrics) if r["step"] == step)
        assert same["train/lr"] == row["lr/group0"]


def test_every_logger_gets_them(train: Callable[..., RunFolder]):
    folder = train(*RUN, "optimizer=sgd", "optimizer.momentum=0.7", "logger=csv")
    with (folder.path / "csv" / "metrics.csv").open(newline="") as file:
        sent = [row for row in csv.DictReader(file) if row.get("momentum/group0")]
    own = rows(folder)
    assert [int(row["step"]) for row in sent] == list(own)
    assert all(float(row["momentum/group0"]) == pytest.approx(0.7) for row in sent)
