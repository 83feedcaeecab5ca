"""The schedule of the Transformer paper."""

import pytest
import torch

from loomlab.scheduler.context import ScheduleContext
from loomlab.scheduler.inverse_sqrt import InverseSqrt


def _schedule(warmup: float, total: int = 1000) -> InverseSqrt:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    return InverseSqrt(warmup=warmup, optimizer=optimizer, context=ScheduleContext.fixed(total, 1))


def test_equals_equation_3_up_to_its_scale():
    """width^-0.5 min(step^-0.5, step warmup^-1.5), which is (width warmup)^-0.5 at its peak."""
    schedule, warmup = _schedule(20), 20
    for step in range(1, 200):
        paper = min(step**-0.5, step * warmup**-1.5) * warmup**0.5
        assert schedule.get_last_lr()[0] == pytest.approx(paper)
        schedule.optimizer.step()
        schedule.step()


def test_four_times_the_steps_is_half_the_rate():
    schedule = _schedule(10)
    assert schedule.factor(99, 1000, 10) == pytest.approx(2 * schedule.factor(399, 1000, 10))


def test_without_a_warm_up_it_starts_at_the_base_rate():
    assert _schedule(0).get_last_lr() == [1.0]
