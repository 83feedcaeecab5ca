"""Warm-up, lengths and resume: what every schedule shares."""

import copy

import pytest
import torch

from loomlab.errors import InputError
from loomlab.scheduler.base import as_steps
from loomlab.scheduler.constant import Constant
from loomlab.scheduler.context import ScheduleContext
from loomlab.scheduler.cosine import Cosine
from loomlab.scheduler.inverse_sqrt import InverseSqrt
from loomlab.scheduler.linear import Linear
from loomlab.scheduler.one_cycle import OneCycle
from loomlab.scheduler.plateau import Plateau
from loomlab.scheduler.wsd import WSD


def _optimizer():
    groups = [torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))]
    return torch.optim.SGD([{"params": [groups[0]]}, {"params": [groups[1]], "lr": 0.5}], lr=1.0)


def _rates(schedule, steps):
    """Rates of both groups at each of the next steps."""
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in schedule.optimizer.param_groups])
        schedule.optimizer.step()
        schedule.step()
    return found


def _constant(warmup, total):
    context = ScheduleContext.fixed(total, tokens_per_step=8)
    return Constant(warmup=warmup, optimizer=_optimizer(), context=context)


@pytest.mark.parametrize("warmup", [4, 4.0, 0.4])
def test_warm_up_is_linear_never_zero_and_scales_each_group(warmup):
    rates = _rates(_constant(warmup, 10), 6)
    assert [r[0] for r in rates] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert [r[1] for r in rates] == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]


def test_no_warm_up_starts_at_the_base_rate():
    assert _rates(_constant(0.0, 10), 2) == [[1.0, 0.5], [1.0, 0.5]]


def test_one_is_a_step_and_less_than_one_a_fraction():
    assert [as_steps(length, 1000) for length in (1, 1.0, 0.5, 0.02, 0)] == [1, 1, 500, 20, 0]


def test_a_warm_up_longer_than_the_run_is_refused_naming_both():
    with pytest.raises(InputError, match=r"scheduler\.warmup: 30 steps .* 20 steps"):
        _constant(30, 20)
    assert _rates(_constant(20, 20), 20)[-1][0] == 1.0


@pytest.mark.parametrize("warmup", [1.5, -0.1])
def test_a_warm_up_that_is_neither_steps_nor_fraction_is_refused(warmup):
    with pytest.raises(InputError, match=r"scheduler\.warmup"):
        _constant(warmup, 20)


@pytest.mark.parametrize("kind", [Constant, Cosine, InverseSqrt, Linear, OneCycle, Plateau, WSD])
def test_resumes_exactly(kind):
    """Each of them; one_cycle and plateau, which keep more, have tests of it of their own."""
    schedule = kind(optimizer=_optimizer(), context=ScheduleContext.fixed(30, 8))
    _rates(schedule, 11)
    states = copy.deepcopy((schedule.state_dict(), schedule.optimizer.state_dict()))
    resumed = kind(optimizer=_optimizer(), context=ScheduleContext.fixed(30, 8))
    resumed.load_state_dict(states[0])
    resumed.optimizer.load_state_dict(states[1])
    assert resumed.get_last_lr() == schedule.get_last_lr()
    assert _rates(resumed, 15) == _rates(schedule, 15)


def test_the_state_is_plain_numbers_and_a_timed_run_keeps_its_estimate():
    context = ScheduleContext.timed(60.0, 8)
    schedule = Cosine(optimizer=_optimizer(), context=context)
    context.step_done(10, 1.0)
    state = schedule.state_dict()
    assert state["steps"] == 600
    assert all(isinstance(v, int | float | list) for v in state.values())
    resumed = Cosine(optimizer=_optimizer(), context=ScheduleContext.timed(60.0, 8))
    resumed.load_state_dict(state)
    assert resumed.context.total_steps == 600
    longer = Cosine(optimizer=_optimizer(), context=ScheduleContext.timed(180.0, 8))
    longer.load_state_dict(state)
    assert longer.context.total_steps == 1800


def test_a_longer_run_goes_on_by_its_own_schedule():
    ended = Cosine(optimizer=_optimizer(), context=ScheduleContext.fixed(5, 8))
    _rates(ended, 5)
    straight = Cosine(optimizer=_optimizer(), context=ScheduleContext.fixed(10, 8))
    rates = _rates(straight, 10)
    resumed = Cosine(optimizer=_optimizer(), context=ScheduleContext.fixed(10, 8))
    resumed.optimizer.load_state_dict(ended.optimizer.state_dict())
    resumed.load_state_dict(ended.state_dict())
    resumed.apply()
    assert _rates(resumed, 5) == rates[5:]
