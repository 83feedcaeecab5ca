"""label_smoothing against torch's own and by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from tests.conftest import TINY_MODEL

from loomlab.regularization.label_smoothing import LabelSmoothing
from loomlab.run.metrics_file import read_metrics


def test_it_equals_the_smoothing_of_torch():
    torch.manual_seed(0)
    logits, targets = torch.randn(9, 7), torch.randint(0, 7, (9,))
    ours = LabelSmoothing(0.3).wrap_loss(F.cross_entropy)(logits, targets)
    assert ours.item() == pytest.approx(
        F.cross_entropy(logits, targets, label_smoothing=0.3).item(), rel=1e-6
    )


def test_two_classes_by_hand():
    """p = (3/4, 1/4), target 0: 0.9 * -log 3/4 + 0.1 * (-log 3/4 - log 1/4) / 2."""
    logits = torch.tensor([[math.log(3.0), 0.0]])
    ours = LabelSmoothing(0.1).wrap_loss(F.cross_entropy)(logits, torch.tensor([0]))
    expected = -0.95 * math.log(3 / 4) - 0.05 * math.log(1 / 4)
    assert ours.item() == pytest.approx(expected, rel=1e-6)


def test_it_changes_training_but_not_what_is_reported(train):
    """The first logged loss is that of the same weights, so it must be the same."""
    plain = train(*TINY_MODEL, "budget.steps=4")
    smooth = train(
        *TINY_MODEL, "budget.steps=4", "regularization=[label_smoothing]", folder="smooth"
    )
    assert smooth.summary()["choice"]["regularization"] == ["label_smoothing"]
    first, second = (read_metrics(folder.metrics) for folder in (plain, smooth))
    assert first[0]["train/loss"] == second[0]["train/loss"]
    assert first[-1]["val/loss"] != second[-1]["val/loss"]
