"""The rate goes down when validations bring nothing new, and a resumed run remembers them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics
from loomlab.scheduler.context import ScheduleContext
from loomlab.scheduler.plateau import Plateau


def _schedule(**settings: Any) -> Plateau:
    groups = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [groups[0]]}, {"params": [groups[1]], "lr": 4.0}], 1.0)
    given = {"warmup": 0, "patience": 2, **settings}
    return Plateau(optimizer=optimizer, context=ScheduleContext.fixed(100, 1), **given)


def _rates(schedule: Plateau, values: list[float]) -> list[float]:
    """The rate of the first group after each validation, one step between them."""
    found = []
    for value in values:
        schedule.optimizer.step()
        schedule.step()
        schedule.observe(value)
        found.append(schedule.optimizer.param_groups[0]["lr"])
    return found


def test_goes_down_after_so_many_validations_without_a_best():
    values = [5.0, 4.0, 4.1, 4.2, 3.9, 3.95, 3.99, 4.5, 4.5]
    expected = [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    schedule = _schedule(threshold=0.0)
    assert _rates(schedule, values) == expected
    assert schedule.optimizer.param_groups[1]["lr"] == 0.5, "groups keep their ratio"
    assert schedule.get_last_lr() == [0.125, 0.5]


def test_agrees_with_torch():
    values = [3.0, 2.5, 2.6, 2.499, 2.7, 2.2, 2.3, 2.3, 2.3, 2.3, 2.3]
    schedule = _schedule(threshold=1e-3, reduce=0.1, minimum=0.0)
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(other, patience=1, threshold=1e-3)
    theirs = []
    for value in values:
        reference.step(value)
        theirs.append(other.param_groups[0]["lr"])
    assert _rates(schedule, values) == pytest.approx(theirs)


def test_stops_at_the_minimum():
    assert _rates(_schedule(patience=1, minimum=0.3), [1.0, 1, 1, 1]) == [1.0, 0.5, 0.3, 0.3]


def test_better_by_less_than_the_threshold_is_not_better():
    assert _rates(_schedule(patience=1, threshold=0.1), [1.0, 0.95, 0.5]) == [1.0, 0.5, 0.5]


def test_warm_up_comes_first():
    schedule = _schedule(warmup=4, patience=1)
    assert _rates(schedule, [1.0, 1, 1, 1, 1]) == [0.5, 0.75, 1.0, 0.5, 0.25]


def test_resumes_exactly():
    schedule = _schedule()
    _rates(schedule, [3.0, 2.0, 2.5])
    states = schedule.state_dict(), schedule.optimizer.state_dict()
    assert all(isinstance(v, int | float | list) for v in states[0].values())
    resumed = _schedule()
    resumed.load_state_dict(states[0])
    resumed.optimizer.load_state_dict(states[1])
    assert _rates(resumed, [2.1, 2.2, 2.3]) == _rates(schedule, [2.1, 2.2, 2.3])


def test_a_run_tells_it_what_was_measured(train: Callable[..., RunFolder]):
    """A rate too large to learn with: the held-out loss rises and the rate falls."""
    folder = train(
        "model.layers=1", "model.width=16", "model.heads=2", "optimizer=sgd", "optimizer.lr=300",
        "scheduler=plateau", "scheduler.patience=1", "scheduler.warmup=0", "budget.steps=12",
        "trainer.val_every_n_steps=2", "callbacks=[checkpoint]",
    )  # fmt: skip
    rows = read_metrics(folder.metrics)
    rates = [r["train/lr"] for r in rows if "train/lr" in r]
    values = [r["val/bits_per_byte"] for r in rows if "val/bits_per_byte" in r]
    best, level, expected = None, 1.0, []
    for value in values:
        expected += [300 * level] * 2
        if best is None or value < best - 1e-3 * abs(best):
            best = value
        else:
            level *= 0.5
    assert rates == pytest.approx(expected)
    assert rates[-1] < 300
    state = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)["lr_schedulers"][0]
    assert state["best"] == pytest.approx(min(values), rel=2e-3)
