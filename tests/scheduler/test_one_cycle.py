"""One cycle against torch's OneCycleLR, momentum included."""

import copy
from typing import Any

import pytest
import torch

from loomlab.compose.gate import check
from loomlab.errors import InputError
from loomlab.optimizer.schedule_free import ScheduleFree
from loomlab.scheduler.context import ScheduleContext
from loomlab.scheduler.one_cycle import OneCycle


def _optimizer(kind: str = "adam") -> torch.optim.Optimizer:
    weights = [torch.nn.Parameter(torch.zeros(1))]
    if kind == "sgd":
        return torch.optim.SGD(weights, lr=2.0, momentum=0.5)
    return torch.optim.AdamW(weights, lr=2.0, betas=(0.9, 0.99))


def _schedule(optimizer: torch.optim.Optimizer, total: int = 40, **settings: Any) -> OneCycle:
    context = ScheduleContext.fixed(total, 1)
    return OneCycle(optimizer=optimizer, context=context, **settings)


def _path(schedule: Any, steps: int) -> list[tuple[float, float]]:
    """Rate and momentum of each of the next steps."""
    found = []
    for _ in range(steps):
        (group,) = schedule.optimizer.param_groups
        momentum = group["betas"][0] if "betas" in group else group["momentum"]
        found.append((group["lr"], momentum))
        schedule.optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("kind", ["adam", "sgd"])
@pytest.mark.parametrize(("shape", "name"), [("cosine", "cos"), ("linear", "linear")])
def test_equals_torch(kind: str, shape: str, name: str):
    ours = _schedule(_optimizer(kind), shape=shape)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        _optimizer(kind), max_lr=2.0, total_steps=40, pct_start=0.3, anneal_strategy=name
    )
    for mine, reference in zip(_path(ours, 39), _path(theirs, 39), strict=True):
        assert mine == pytest.approx(reference)


def test_peak_and_ends():
    path = _path(_schedule(_optimizer()), 40)
    rates, momenta = zip(*path, strict=True)
    assert rates[0] == pytest.approx(0.08)
    assert max(rates) == rates[11] == 2.0
    assert rates[-1] == pytest.approx(8e-6)
    assert (momenta[0], momenta[11], momenta[-1]) == pytest.approx((0.95, 0.85, 0.95))


def test_momentum_can_be_left_alone():
    assert {m for _, m in _path(_schedule(_optimizer(), cycle_momentum=False), 40)} == {0.9}


def test_without_a_momentum_only_the_rate_moves():
    optimizer = torch.optim.Adafactor([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = _schedule(optimizer)
    before = {k: v for k, v in optimizer.param_groups[0].items() if k not in ("lr", "params")}
    optimizer.step()
    schedule.step()
    after = {k: v for k, v in optimizer.param_groups[0].items() if k not in ("lr", "params")}
    assert after == before


def test_resumes_exactly():
    schedule = _schedule(_optimizer())
    _path(schedule, 17)
    states = copy.deepcopy((schedule.state_dict(), schedule.optimizer.state_dict()))
    resumed = _schedule(_optimizer())
    resumed.load_state_dict(states[0])
    resumed.optimizer.load_state_dict(states[1])
    assert _path(resumed, 20) == _path(schedule, 20)


def test_a_longer_run_goes_on_by_its_own_cycle():
    ended, straight = _schedule(_optimizer(), total=20), _schedule(_optimizer(), total=40)
    _path(ended, 20)
    path = _path(straight, 40)
    resumed = _schedule(_optimizer(), total=40)
    resumed.optimizer.load_state_dict(ended.optimizer.state_dict())
    resumed.load_state_dict(ended.state_dict())
    resumed.apply()
    assert _path(resumed, 20) == path[20:]


def test_a_run_of_one_step_works():
    assert _path(_schedule(_optimizer(), total=1), 1)[0][0] == 2.0


def test_optimizers_whose_momentum_must_stay_are_refused():
    model = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match=r"scheduler\.cycle_momentum=false"):
        _schedule(ScheduleFree(model=model))
    text = check(["optimizer=schedule_free", "scheduler=one_cycle"], False).message()
    assert "its average is tied to a momentum that stays" in text
