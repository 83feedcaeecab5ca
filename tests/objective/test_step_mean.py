"""Micro-batches that score unlike numbers of tokens add up to their step."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file

from loomlab.objective.mlm import MaskedLM
from loomlab.objective.step_mean import StepMean
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
WORDS = ["model=bert", "model.layers=1", "model.width=16", "model.heads=2", "objective=mlm",
         "objective.whole_word=true", "runtime=plain", "budget.steps=3", "optimizer=sgd",
         "optimizer.lr=0.5"]  # fmt: skip


def test_rows_one_by_one_take_the_step_of_all_of_them(
    train: Train, monkeypatch: pytest.MonkeyPatch
):
    """Plain descent shows each gradient as it is; a mean of means takes other steps."""
    whole = train(*WORDS, folder="whole")
    split = train(*WORDS, "trainer.accumulate_grad_batches=4", folder="split")
    monkeypatch.setattr(MaskedLM, "weight", lambda self, batch: None)
    means = train(*WORDS, "trainer.accumulate_grad_batches=4", folder="means")
    losses = [[row["train/loss"] for row in read_metrics(f.metrics)] for f in (whole, split)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    weights = [load_file(f.model / "model.safetensors") for f in (whole, split, means)]
    off = [max(float((w[k] - weights[0][k]).abs().max()) for k in w) for w in weights]
    assert off[1] < 1e-5 < 100 * off[1] < off[2]


def test_gradients_are_divided_by_the_mean_weight_over_processes():
    step, weight = StepMean(), torch.nn.Parameter(torch.ones(2))
    idle = torch.nn.Parameter(torch.ones(1))
    for given, others, left in ((2.0, 1.5, 4.0), (1.0, 1.0, 6.0), (None, 9.0, 6.0)):
        weight.grad = torch.full((2,), 6.0)
        step.add(given)
        step.add(given)
        step.correct([weight, idle], lambda mean, others=others: others)  # type: ignore[misc]
        assert weight.grad.tolist() == [left, left]
        assert step.weights == []
