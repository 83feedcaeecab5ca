"""z_loss by hand, and what it is for."""

import math

import pytest
import torch
import torch.nn.functional as F

from loomlab.regularization.z_loss import ZLoss


def test_by_hand():
    """logits (log 3, 0): Z = 4, so the penalty is weight * (log 4)^2."""
    logits = torch.tensor([[math.log(3.0), 0.0]])
    ours = ZLoss(0.5).wrap_loss(F.cross_entropy)(logits, torch.tensor([0]))
    assert ours.item() == pytest.approx(-math.log(3 / 4) + 0.5 * math.log(4) ** 2, rel=1e-6)


def test_it_pulls_the_normalizer_towards_one():
    torch.manual_seed(0)
    logits = (torch.randn(16, 5) + 8).requires_grad_()
    targets = torch.randint(0, 5, (16,))
    loss = ZLoss(0.1).wrap_loss(F.cross_entropy)
    before = torch.logsumexp(logits, -1).abs().mean().item()
    optimizer = torch.optim.SGD([logits], lr=10.0)
    for _ in range(100):
        optimizer.zero_grad()
        loss(logits, targets).backward()
        optimizer.step()
    assert torch.logsumexp(logits, -1).abs().mean().item() < before / 2
