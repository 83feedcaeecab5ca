"""AdamW: the plain torch one, with decay where it belongs."""

import copy

import pytest
import torch
from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer.adamw import AdamW


def _model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def _data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(32, 4, generator=generator)
    return x, x.sum(dim=1, keepdim=True)


def _train(model, optimizer, steps):
    x, y = _data()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_equals_torch_adamw_with_decay_on_the_matrices_only():
    ours, theirs = _model(), _model()
    reference = torch.optim.AdamW(
        [
            {"params": [theirs[0].weight, theirs[2].weight], "weight_decay": 0.5},
            {"params": [theirs[0].bias, theirs[2].bias], "weight_decay": 0.0},
        ],
        lr=0.01,
        betas=(0.8, 0.9),
    )
    _train(ours, AdamW(lr=0.01, betas=[0.8, 0.9], weight_decay=0.5, model=ours), 20)
    _train(theirs, reference, 20)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_reduces_the_loss():
    model = _model()
    losses = _train(model, AdamW(lr=0.03, model=model), 100)
    assert losses[-1] < 0.1 * losses[0]


def test_resumes_exactly():
    model = _model()
    optimizer = AdamW(lr=0.01, model=model)
    _train(model, optimizer, 5)
    resumed = _model()
    resumed.load_state_dict(model.state_dict())
    second = AdamW(lr=0.01, model=resumed)
    second.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert _train(model, optimizer, 5) == _train(resumed, second, 5)


def test_is_fused_yet_leaves_unscaling_to_the_scaler_so_that_clipping_is_allowed():
    optimizer = AdamW(model=_model())
    assert all(group["fused"] for group in optimizer.param_groups)
    assert not optimizer._step_supports_amp_scaling


def test_bad_betas_are_refused():
    with pytest.raises(InputError, match=r"optimizer\.betas"):
        AdamW(betas=[0.9, 1.5], model=_model())
