"""Each kind of budget ends training where it says, and schedules are laid over just that."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf
from tests.clock import Clock

from loomlab.catalog.root import BUDGETS, DEFAULT_STEPS
from loomlab.run.budget import ValidateAtEnd, schedule_context, total_steps
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

TOKENS = 64  # of one step: 4 rows of 16
LINEAR = ["scheduler=linear", "scheduler.warmup=0", "optimizer.lr=0.01"]
Finish = Callable[..., RunFolder]


def budget(**given: float) -> OmegaConf:
    return OmegaConf.create({**dict.fromkeys(BUDGETS), **given})


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({}, DEFAULT_STEPS),
        ({"steps": 7}, 7),
        ({"tokens": 640}, 10),
        ({"tokens": 641}, 11),
        ({"tokens": 1}, 1),
        ({"epochs": 2.0}, 15),
        ({"epochs": 0.5}, 4),
        ({"flops": 5e6}, 5),
        ({"flops": 5.1e6}, 6),
        ({"seconds": 3.0}, None),
    ],
    ids=str,
)
def test_steps_a_budget_pays_for(given: dict[str, float], steps: int | None):
    assert total_steps(budget(**given), TOKENS, 1e6, 7.5) == steps


def test_context_of_fixed_and_timed_budgets():
    fixed = schedule_context(12, budget(steps=12), TOKENS)
    assert (fixed.total_steps, fixed.tokens_per_step, fixed.seconds) == (12, TOKENS, None)
    timed = schedule_context(None, budget(seconds=2.5), TOKENS)
    assert (timed.seconds, timed.tokens_per_step) == (2.5, TOKENS)


@pytest.mark.parametrize(
    ("steps", "taken", "ends"), [(-1, 5, False), (1, 1, True), (3, 2, False), (3, 3, True)]
)
def test_the_last_step_asks_for_the_end(steps: int, taken: int, ends: bool):
    trainer: Any = SimpleNamespace(max_steps=steps, global_step=taken, should_stop=False)
    ValidateAtEnd().on_train_batch_end(trainer)
    assert trainer.should_stop == ends


def rates(folder: RunFolder) -> list[float]:
    return [row["train/lr"] for row in read_metrics(folder.metrics) if "train/lr" in row]


def assert_ends_at(folder: RunFolder, steps: int) -> None:
    """The run has taken so many steps, and a line fell towards zero over just as many.

    A step's rate is the one it was taken with.
    """
    assert folder.summary()["steps"] == steps
    assert read_metrics(folder.metrics)[-1]["step"] == steps
    expected = [0.01 * (1 - before / steps) for before in range(steps)]
    assert rates(folder) == pytest.approx(expected, abs=1e-9)


def test_steps(finish: Finish):
    assert_ends_at(finish(*LINEAR, "budget.steps=5"), 5)


def test_steps_are_optimizer_steps(finish: Finish):
    folder = finish(*LINEAR, "budget.steps=4", "trainer.accumulate_grad_batches=2")
    assert_ends_at(folder, 4)
    assert folder.summary()["tokens"] == 4 * TOKENS


def test_tokens_are_rounded_up_to_whole_steps(finish: Finish):
    folder = finish(*LINEAR, "budget.steps=null", f"budget.tokens={2 * TOKENS + 1}")
    assert_ends_at(folder, 3)
    assert folder.summary()["tokens"] == 3 * TOKENS


def test_epochs_and_a_validation_after_each(finish: Finish):
    """12 samples in batches of 4: two and a half epochs are eight steps."""
    folder = finish(
        *LINEAR, "budget.steps=null", "budget.epochs=2.5", "corpus.max_samples=12",
        "trainer.val_every_n_epochs=1",
    )  # fmt: skip
    assert_ends_at(folder, 8)
    validated = [row["step"] for row in read_metrics(folder.metrics) if "val/loss" in row]
    assert validated == [3, 6, 8]


def test_flops(finish: Finish):
    price = read_metrics(finish("budget.steps=1").metrics)[0]["flops"]
    folder = finish(*LINEAR, "budget.steps=null", f"budget.flops={3.5 * price}")
    assert_ends_at(folder, 4)
    assert folder.summary()["flops"] == 4 * price


@pytest.mark.parametrize("accumulate", [1, 2])
def test_seconds(finish: Finish, accumulate: int, monkeypatch: pytest.MonkeyPatch):
    """A step takes an eighth of a second: twelve are paid for, and the line ends with them."""
    monkeypatch.setattr("loomlab.run.budget.time", Clock(0.125))
    folder = finish(
        *LINEAR, "budget.steps=null", "budget.seconds=1.5", "trainer.val_every_n_steps=100000",
        f"trainer.accumulate_grad_batches={accumulate}",
    )  # fmt: skip
    assert folder.summary()["steps"] == 12
    line = [0.01 * (1 - before / 12) for before in range(12)]
    unmeasured = 2  # steps, before their pace is known
    assert rates(folder)[unmeasured:] == pytest.approx(line[unmeasured:], abs=1e-9)
    assert "val/loss" in read_metrics(folder.metrics)[-1], "validated once more at the end"


def test_seconds_spent_before_a_resume_count(
    finish: Finish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With half as much left again, half as many steps are taken again, or a step less."""
    monkeypatch.setattr("loomlab.run.budget.time", Clock(0.125))
    timed = ["budget.steps=null", "callbacks=[checkpoint]"]
    folder = finish(*timed, "budget.seconds=1", folder=tmp_path)
    steps = folder.summary()["steps"]
    finish(*timed, "budget.seconds=1.5", f"resume={tmp_path}", folder=tmp_path)
    assert steps < folder.summary()["steps"] <= steps * 1.5
