"""Gradual pruning: the published curve, and a resume that changes nothing."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file

from loomlab.compression.prune_gradual import PruneGradual
from loomlab.errors import InputError
from loomlab.run.folder import RunFolder

GIVEN = [
    *("model.layers=1", "model.width=16", "model.heads=2", "compression=[prune_gradual]"),
    *("compression.prune_gradual.every=1", "callbacks=[checkpoint]", "scheduler=constant"),
]


def test_the_curve_by_hand():
    technique = PruneGradual(sparsity=0.8, start=0.2, end=0.6)
    assert [technique.at(step, 10) for step in (0, 2, 6, 10)] == [0, 0, 0.8, 0.8]
    assert technique.at(3, 10) == pytest.approx(0.8 * (1 - 0.75**3))
    assert technique.at(4, 10) == pytest.approx(0.8 * (1 - 0.5**3))


def test_an_end_before_the_start_is_refused():
    with pytest.raises(InputError, match=r"prune_gradual\.end"):
        PruneGradual(start=0.5, end=0.5)


def test_a_resume_in_the_middle_equals_the_unbroken_run(
    train: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
):
    whole = train(*GIVEN, "budget.steps=10", folder="whole")
    # of a run of ten steps: what the budget says is what the curve is laid over
    ends = "loomlab.compression.prune_gradual.PruneGradual.at"
    curve = PruneGradual.at
    monkeypatch.setattr(ends, lambda self, step, _: curve(self, step, 10))
    part = train(*GIVEN, "budget.steps=4", folder="part")
    state = torch.load(part.checkpoints / "last.ckpt", weights_only=True)
    (kept,) = [v for k, v in state["callbacks"].items() if k.startswith("Gradually")]
    assert 0 < kept["level"] < 0.5
    again = train(*GIVEN, "budget.steps=10", f"resume={part.path}", folder="part")
    one, other = (load_file(f.model / "model.safetensors") for f in (whole, again))
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert again.summary()["compression"]["PruneGradual"]["sparsity"] == 0.5
