"""A run goes on with other micro-steps than it began with, and is the run of one kind."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file

from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
pytestmark = pytest.mark.usefixtures("warm_ranks")
SMALL = ["model.layers=1", "model.width=16", "model.heads=2", "runtime=plain",
         "callbacks=[checkpoint]", "scheduler=constant",
         "trainer.val_every_n_steps=2"]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param(
            ["micro_batch_size=4"],
            ["micro_batch_size=1"],
            marks=pytest.mark.slow,
        ),
        (["trainer.accumulate_grad_batches=4"], ["trainer.accumulate_grad_batches=1"]),
        pytest.param(
            ["parallelism=ddp", "micro_batch_size=1"],
            ["parallelism=single", "micro_batch_size=2"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["one to four", "four to one", "two processes to one"],
)
def test_micro_steps_change_between_two_parts_of_a_run(
    train: Train, first: list[str], then: list[str]
):
    straight = train(*SMALL, "budget.steps=6", folder="straight")
    folder = train(*SMALL, "budget.steps=3", *first)
    train(*SMALL, "budget.steps=6", *first, *then, f"resume={folder.path}")
    rows, others = read_metrics(straight.metrics), read_metrics(folder.metrics)
    assert [row["step"] for row in others] == [1, 2, 3, 4, 5, 6]
    assert ["val/loss" in row for row in others[3:]] == [True, False, True]
    for row, other in zip(rows, others, strict=True):
        assert other["train/loss"] == pytest.approx(row["train/loss"], abs=1e-5)
    weights = [load_file(f.model / "model.safetensors") for f in (straight, folder)]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=0, atol=5e-5)


def test_a_finished_run_that_goes_on_takes_whole_batches_by_the_rates_of_its_new_length(
    train: Train,
):
    """Frozen weights: the loss of a step tells which rows it read, whatever came before."""
    cosine = [*SMALL, "scheduler=cosine", "optimizer=sgd", "optimizer.lr=1e-9"]
    straight = train(*cosine, "budget.steps=10", folder="straight")
    folder = train(*cosine, "budget.steps=5")
    finer = "trainer.accumulate_grad_batches=4"
    train(*cosine, "budget.steps=10", finer, f"resume={folder.path}")
    rows, others = read_metrics(straight.metrics), read_metrics(folder.metrics)
    assert [row["step"] for row in others] == list(range(1, 11))
    for row, other in zip(rows[5:], others[5:], strict=True):
        assert other["train/lr"] == row["train/lr"]
        assert other["train/loss"] == pytest.approx(row["train/loss"], abs=1e-6)
