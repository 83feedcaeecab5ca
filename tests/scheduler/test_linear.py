"""The linear schedule against values worked out by hand."""

import pytest
import torch

from loomlab.scheduler.context import ScheduleContext
from loomlab.scheduler.linear import Linear


def _rates(total, steps, **settings):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = Linear(optimizer=optimizer, context=ScheduleContext.fixed(total, 1), **settings)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_falls_by_equal_amounts_to_zero_and_stays_there():
    # warm-up 1/2, 2/2; then 4 steps from 1 to 0 at step 6
    assert _rates(6, 8, warmup=2) == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]


def test_minimum_is_where_it_ends():
    rates = _rates(4, 6, warmup=0, minimum=0.2)
    assert rates == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2])
