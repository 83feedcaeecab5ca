"""Tokens shared out between layers; that two processes give what one gives is in test_tp."""

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from loomlab.parallelism import sequence
from loomlab.parallelism.sequence import SomeDropped, SumOfParts


@pytest.mark.parametrize("rank", [0, 1])
def test_each_token_is_dropped_as_in_one_process(monkeypatch: pytest.MonkeyPatch, rank: int):
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "get_rank", lambda: rank)
    layer = nn.Dropout(0.5)
    layer.__class__ = SomeDropped
    x_BTD = torch.randn(2, 6, 4)
    torch.manual_seed(0)
    expected = F.dropout(x_BTD, 0.5)
    torch.manual_seed(0)
    own = slice(3 * rank, 3 * rank + 3)
    assert torch.equal(layer(x_BTD[:, own]), expected[:, own])
    assert torch.equal(layer.eval()(x_BTD[:, own]), x_BTD[:, own])


def test_gradients_of_some_tokens_are_added_up(monkeypatch: pytest.MonkeyPatch):
    """As if another process had the same."""
    monkeypatch.setattr(sequence.dist, "all_reduce", lambda flat: flat.mul_(2))
    known = [
        nn.Parameter(torch.zeros(3)),
        nn.Parameter(torch.zeros(2)),
        nn.Parameter(torch.ones(1)),
    ]
    known[0].grad, known[1].grad = torch.ones(3), torch.full((2,), 3.0)
    callback = SumOfParts()
    callback.seen = known
    callback.on_before_optimizer_step()
    assert [p.grad.tolist() for p in known[:2]] == [[2.0] * 3, [6.0] * 2]
    assert known[2].grad is None, "a frozen one has none"
