"""SGD: torch's, on the shared parameter groups."""

import copy

import pytest
import torch
from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer.sgd import SGD


def _step(model, optimizer, x):
    optimizer.zero_grad()
    loss = (model(x) - 3.0).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def test_one_step_is_the_gradient_times_the_rate_plus_decay_of_the_matrix():
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 2.0)
    nn.init.constant_(model.bias, 0.0)
    # prediction 2, target 3: gradient 2 * (2 - 3) = -2 for both; the weight decays by 0.5 * 2
    _step(model, SGD(lr=0.1, momentum=0.0, weight_decay=0.5, model=model), torch.ones(1, 1))
    assert model.weight.item() == pytest.approx(2.0 + 0.2 - 0.1)
    assert model.bias.item() == pytest.approx(0.2)


@pytest.mark.parametrize("nesterov", [False, True])
def test_reduces_the_loss_and_resumes_exactly(nesterov):
    torch.manual_seed(0)
    x = torch.randn(16, 3)
    model, resumed = nn.Linear(3, 1), nn.Linear(3, 1)
    optimizer = SGD(lr=0.05, nesterov=nesterov, model=model)
    losses = [_step(model, optimizer, x) for _ in range(60)]
    assert losses[-1] < 0.1 * losses[0]
    resumed.load_state_dict(model.state_dict())
    second = SGD(lr=0.05, nesterov=nesterov, model=resumed)
    second.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # it shares tensors
    assert [_step(model, optimizer, x) for _ in range(3)] == [
        _step(resumed, second, x) for _ in range(3)
    ]


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(InputError, match=r"optimizer\.nesterov"):
        SGD(momentum=0.0, nesterov=True, model=nn.Linear(1, 1))
