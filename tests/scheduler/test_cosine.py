"""The cosine schedule against values worked out by hand."""

import math

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup

from loomlab.scheduler.context import ScheduleContext
from loomlab.scheduler.cosine import Cosine


def _schedule(total, **settings):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    return Cosine(optimizer=optimizer, context=ScheduleContext.fixed(total, 1), **settings)


def test_values_at_quarter_half_and_end():
    schedule = _schedule(110, warmup=10, minimum=0.1)
    assert schedule.factor(10, 110, 10) == 1.0
    # progress 1/4: cos(pi/4) = sqrt(1/2); 0.1 + 0.9 * (1 + 0.70711) / 2 = 0.868198
    assert schedule.factor(35, 110, 10) == pytest.approx(0.1 + 0.45 * (1 + math.sqrt(0.5)))
    assert schedule.factor(60, 110, 10) == pytest.approx(0.55)
    assert schedule.factor(110, 110, 10) == pytest.approx(0.1)
    assert schedule.factor(999, 110, 10) == pytest.approx(0.1)


def test_decays_like_transformers():
    schedule = _schedule(40, warmup=5, minimum=0.0)
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = get_cosine_schedule_with_warmup(other, 5, 40)
    for step in range(40):
        if step >= 5:
            assert schedule.get_last_lr() == pytest.approx(reference.get_last_lr())
        for each in (schedule, reference):
            each.optimizer.step()
            each.step()
    assert schedule.get_last_lr() == pytest.approx([0.0])


def test_a_run_of_one_step_works():
    assert _schedule(1).get_last_lr() == [1.0]
