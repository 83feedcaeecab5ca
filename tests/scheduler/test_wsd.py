"""Warm-up, stable, decay against values worked out by hand."""

import math

import pytest
import torch

from loomlab.errors import InputError
from loomlab.scheduler.context import ScheduleContext
from loomlab.scheduler.wsd import WSD


def _rates(total, steps, **settings):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = WSD(optimizer=optimizer, context=ScheduleContext.fixed(total, 1), **settings)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("decay", [0.4, 4])
def test_linear_decay_over_the_last_steps(decay):
    rates = _rates(10, 11, warmup=2, decay=decay)
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0.0])


def test_root_decay_falls_faster_at_first():
    # progress 1/4, 1/2, 3/4: 1 - 0.9 * sqrt(progress)
    rates = _rates(10, 11, warmup=0, decay=4, minimum=0.1, shape="sqrt")
    expected = [1 - 0.9 * math.sqrt(p) for p in (0.25, 0.5, 0.75, 1.0)]
    assert rates == pytest.approx([1.0] * 7 + expected)
    assert rates[7] == pytest.approx(0.55)


def test_a_decay_that_starts_in_the_warm_up_waits_for_its_end():
    assert _rates(4, 5, warmup=2, decay=1.0 - 1e-9) == pytest.approx([0.5, 1, 1, 0.5, 0.0])


def test_no_decay_is_constant():
    assert _rates(5, 5, warmup=0, decay=0) == [1.0] * 5


def test_a_decay_longer_than_the_run_is_refused_naming_both():
    with pytest.raises(InputError, match=r"scheduler\.decay: 12 steps .* 10 steps"):
        _rates(10, 1, decay=12)
