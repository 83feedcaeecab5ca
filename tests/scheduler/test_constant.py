"""The constant schedule."""

import torch

from loomlab.scheduler.constant import Constant
from loomlab.scheduler.context import ScheduleContext


def test_is_one_everywhere_after_the_warm_up():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = Constant(warmup=2, optimizer=optimizer, context=ScheduleContext.fixed(10, 1))
    rates = []
    for _ in range(12):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == [0.15] + [0.3] * 11
