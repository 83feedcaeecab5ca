"""One process; micro-steps of one process are a single batch taken in parts."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from loomlab.parallelism.single import Single
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
SMALL = ["model.layers=2", "model.width=16", "model.heads=2", "runtime=plain", "budget.steps=6"]


def test_one_process_and_lightnings_own_strategy(tmp_path: Path):
    assert (Single().devices, Single().strategy(tmp_path)) == (1, "auto")


@pytest.mark.parametrize(
    "more", [["position=rope"], ["model=bert", "objective=mlm"]], ids=["clm", "mlm"]
)
def test_accumulated_micro_steps_equal_a_plain_step(train: Train, more: list[str]):
    plain = train(*SMALL, *more, "trainer.val_every_n_steps=3", folder="plain")
    halves = train(
        *SMALL, *more, "trainer.val_every_n_steps=3", "trainer.accumulate_grad_batches=2",
        folder="halves",
    )  # fmt: skip
    rows, others = read_metrics(plain.metrics), read_metrics(halves.metrics)
    assert [row["step"] for row in others] == [row["step"] for row in rows] == list(range(1, 7))
    assert ["val/loss" in row for row in others] == [False, False, True] * 2
    for row, other in zip(rows, others, strict=True):
        assert other["train/loss"] == pytest.approx(row["train/loss"], abs=1e-5)
        assert other["train/lr"] == row["train/lr"]
        assert (other["tokens"], other["flops"]) == (row["tokens"], row["flops"])
    weights = [load_file(f.model / "model.safetensors") for f in (plain, halves)]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=0, atol=5e-5)
