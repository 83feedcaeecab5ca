"""The length of a run, fixed or estimated from the clock."""

import pytest
import torch
from hydra.utils import instantiate

from loomlab.scheduler.context import ScheduleContext
from loomlab.scheduler.linear import Linear


def test_a_fixed_run_keeps_its_length():
    context = ScheduleContext.fixed(100, tokens_per_step=64)
    context.step_done(5, 1000.0)
    assert (context.total_steps, context.tokens_per_step) == (100, 64)


def test_the_first_report_extrapolates_and_the_total_is_never_behind():
    context = ScheduleContext.timed(60.0, tokens_per_step=64)
    context.step_done(30, 20.0)
    assert context.total_steps == 90
    context.step_done(40, 70.0)
    assert context.total_steps == 41


def test_a_report_without_elapsed_time_changes_nothing():
    context = ScheduleContext.timed(60.0, tokens_per_step=64)
    before = context.total_steps
    context.step_done(1, 0.0)
    assert context.total_steps == before


def test_a_slow_first_step_does_not_shorten_the_run_nor_skip_the_warm_up():
    # 60 s, the first step takes 1 s, all others 0.05 s: 1 + 59 / 0.05 = 1181 steps
    context = ScheduleContext.timed(60.0, tokens_per_step=64)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = Linear(warmup=0.02, optimizer=optimizer, context=context)
    assert optimizer.param_groups[0]["lr"] < 0.01
    rates = []
    for step in range(1, 1182):
        context.step_done(step, 1.0 + 0.05 * (step - 1))
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
        if step > 1:
            assert context.total_steps in {1181, step + 1}
    assert rates[10] == pytest.approx(12 / 24)  # warm-up: round(0.02 * 1181) = 24 steps
    assert max(rates) == 1.0
    assert rates[-1] == pytest.approx(0.0, abs=1e-2)


def test_instantiate_hands_over_the_context_itself_not_a_copy():
    context = ScheduleContext.timed(60.0, tokens_per_step=64)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    settings = {"_target_": "loomlab.scheduler.linear.Linear", "warmup": 3}
    schedule = instantiate(settings, optimizer=optimizer, context=context)
    assert schedule.context is context
