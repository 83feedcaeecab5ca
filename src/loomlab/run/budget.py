"""Where training stops and what schedules are laid over."""

from __future__ import annotations

import math
import time
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from loomlab.catalog.root import known_steps
from loomlab.scheduler.context import ScheduleContext


def total_steps(
    budget: DictConfig, tokens_per_step: int, flops_per_step: float, steps_per_epoch: float
) -> int | None:
    """Optimizer steps the budget pays for; None when it is wall-clock seconds."""
    steps = known_steps(budget, tokens_per_step)
    if steps is None and budget.epochs is not None:
        return max(1, math.ceil(budget.epochs * steps_per_epoch))
    if steps is None and budget.flops is not None:
        return max(1, math.ceil(budget.flops / max(flops_per_step, 1.0)))
    return steps


def schedule_context(steps: int | None, budget: DictConfig, tokens: int) -> ScheduleContext:
    """The context that schedules are laid over."""
    if steps is None:
        return ScheduleContext.timed(float(budget.seconds), tokens)
    return ScheduleContext.fixed(steps, tokens)


class ValidateAtEnd(pl.Callback):
    """Ends training at its last step with a validation, wherever the regular ones fall."""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Ask for the end: upon that Lightning validates once more, upon `max_steps` not."""
        if 0 < trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True


class StopAfterSeconds(pl.Callback):
    """Ends training when the wall-clock budget is spent."""

    def __init__(self, context: ScheduleContext, seconds: float) -> None:
        self.context = context
        self.seconds = seconds
        self.spent_before = 0.0
        self.started = 0.0
        self.last_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.started = time.monotonic()
        self.last_step = trainer.global_step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Tell the schedule how time goes, and stop at the end of it; only after whole steps."""
        if trainer.global_step == self.last_step:  # more micro-batches of this step are to come
            return
        self.last_step = trainer.global_step
        # one clock for all processes: they must agree on the rate and on the last step
        elapsed = trainer.strategy.broadcast(self.spent_before + time.monotonic() - self.started)
        self.context.step_done(trainer.global_step, elapsed)
        trainer.should_stop = trainer.should_stop or elapsed >= self.seconds

    def state_dict(self) -> dict[str, float]:
        """Seconds spent so far."""
        return {"spent": self.spent_before + time.monotonic() - self.started}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Continue the clock of the run before."""
        self.spent_before = state_dict["spent"]
