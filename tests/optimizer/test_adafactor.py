"""Adafactor: torch's, against a first step worked out from the paper."""

import copy

import pytest
import torch
from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer.adafactor import Adafactor


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> float:
    optimizer.zero_grad()
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def test_first_step_by_hand():
    """Beta2 of step 1 is 1 - 1^-0.8 = 0: the second moment is that of the gradient alone."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2, bias=False)
    before = model.weight.detach().clone()
    optimizer = Adafactor(lr=0.01, weight_decay=0.1, model=model)
    model(torch.tensor([[1.0, 2.0, -1.0]])).square().sum().backward()
    gradient = model.weight.grad.clone()
    optimizer.step()
    square = gradient.square()
    second = square.mean(1, keepdim=True) * square.mean(0, keepdim=True) / square.mean()
    update = gradient / second.sqrt()
    update /= max(1.0, update.square().mean().sqrt().item())
    rate = 0.01 * before.square().mean().sqrt()  # rho of step 1 is min(0.01, 1 / sqrt(1))
    expected = before * (1 - 0.01 * 0.1) - rate * update
    torch.testing.assert_close(model.weight.detach(), expected, rtol=1e-5, atol=1e-7)


def test_state_of_a_matrix_is_a_row_and_a_column():
    model = nn.Linear(64, 32, bias=False)
    optimizer = Adafactor(model=model)
    _step(model, optimizer, torch.ones(1, 64))
    numbers = sum(v.numel() for v in optimizer.state[model.weight].values())
    assert numbers <= 64 + 32 + 1


def test_reduces_the_loss_and_resumes_exactly():
    torch.manual_seed(0)
    x = torch.randn(32, 4)
    model, resumed = nn.Linear(4, 1), nn.Linear(4, 1)
    optimizer = Adafactor(lr=0.1, model=model)
    losses = [_step(model, optimizer, x) for _ in range(200)]
    assert losses[-1] < 0.1 * losses[0]
    resumed.load_state_dict(model.state_dict())
    second = Adafactor(lr=0.1, model=resumed)
    second.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert [_step(model, optimizer, x) for _ in range(3)] == [
        _step(resumed, second, x) for _ in range(3)
    ]


def test_a_model_with_nothing_to_train_is_refused():
    with pytest.raises(InputError, match="no trainable parameter"):
        Adafactor(model=nn.Linear(2, 2).requires_grad_(False))
