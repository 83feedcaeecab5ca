"""Lion against algorithm 2 of the paper by hand, and against another implementation."""

import copy

import pytest
import torch
from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer.lion import Lion


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> float:
    optimizer.zero_grad()
    loss = (model(x) - 3.0).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def test_two_steps_by_hand():
    """w = 2, x = 1, target 3: the gradient is 2 (w - 3)."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    optimizer = Lion(lr=0.1, betas=[0.9, 0.5], weight_decay=0.5, model=model)
    # step 1: g = -2, sign(0.1 * -2) = -1; w = 2 (1 - 0.05) + 0.1 = 2.0; m = 0.5 * -2 = -1
    _step(model, optimizer, torch.ones(1, 1))
    assert model.weight.item() == pytest.approx(2.0)
    assert optimizer.state[model.weight]["momentum"].item() == pytest.approx(-1.0)
    nn.init.constant_(model.weight, 4.0)
    # step 2: g = 2, sign(0.9 * -1 + 0.1 * 2) = -1; w = 4 * 0.95 + 0.1 = 3.9; m = (-1 + 2) / 2
    _step(model, optimizer, torch.ones(1, 1))
    assert model.weight.item() == pytest.approx(3.9)
    assert optimizer.state[model.weight]["momentum"].item() == pytest.approx(0.5)


def test_equals_the_one_of_pytorch_optimizer():
    library = pytest.importorskip("pytorch_optimizer")
    torch.manual_seed(0)
    x = torch.randn(16, 4)
    ours = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    theirs = copy.deepcopy(ours)
    one = Lion(lr=0.01, weight_decay=0.0, model=ours)
    other = library.Lion(theirs.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.0)
    for _ in range(10):
        assert _step(ours, one, x) == pytest.approx(_step(theirs, other, x), rel=1e-5)
    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, reference)


def test_resumes_exactly_and_leaves_what_has_no_gradient():
    torch.manual_seed(0)
    x = torch.randn(16, 3)
    model, resumed = nn.Linear(3, 1), nn.Linear(3, 1)
    optimizer = Lion(lr=0.02, model=model)
    losses = [_step(model, optimizer, x) for _ in range(200)]
    assert losses[-1] < losses[0]
    resumed.load_state_dict(model.state_dict())
    second = Lion(lr=0.02, model=resumed)
    second.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert _step(model, optimizer, x) == _step(resumed, second, x)
    optimizer.zero_grad()
    before = model.weight.detach().clone()
    optimizer.step()
    assert torch.equal(model.weight, before)


def test_bad_betas_are_refused():
    with pytest.raises(InputError, match=r"optimizer\.betas"):
        Lion(betas=[0.9, 1.5], model=nn.Linear(1, 1))
