"""What all learning-rate schedules share: warm-up, and a factor on every group's own rate."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from loomlab.errors import InputError
from loomlab.scheduler.context import ScheduleContext

_STATE = ("last_epoch", "_step_count", "base_lrs", "_last_lr")


class Schedule(LambdaLR):
    """Linear warm-up, then what a subclass says; stepped once per optimizer step.

    Args:
        warmup: steps if a whole number of at least 1, a fraction of the run if below 1.
        optimizer: each of its groups keeps its own base learning rate.
        context: how long the run is; read anew at every step.

    Raises:
        InputError: a warm-up that is neither, or longer than the run.
    """

    problem_check = "loomlab.scheduler.checks.fits_the_run"
    carried: ClassVar[tuple[str, ...]] = ()  # what else of a subclass a checkpoint must hold

    def __init__(
        self,
        warmup: Annotated[float, "[0, inf)"] = 0.02,
        *,
        optimizer: Optimizer,
        context: ScheduleContext,
    ) -> None:
        check_length("scheduler.warmup", warmup, context)
        self.warmup = warmup
        self.context = context
        super().__init__(optimizer, self._factor_now)

    @abstractmethod
    def factor(self, step: int, total: int, warmup: int) -> float:
        """The multiple of the base rate after the warm-up.

        Args:
            step: optimizer steps done before this one, warmup <= step.
            total: steps of the run; step may reach it, then the schedule is at its end.
            warmup: steps of the warm-up.
        """

    def rise(self, step: int, warmup: int) -> float:
        """The multiple of the base rate during the warm-up, step < warmup."""
        return (step + 1) / warmup  # never 0: the first step would be wasted

    @property
    def warmup_steps(self) -> int:
        """Steps of the warm-up, as far as the length of the run is known."""
        total = self.context.total_steps
        return min(as_steps(self.warmup, total), total)

    def _factor_now(self, step: int) -> float:
        warmup = self.warmup_steps
        if step < warmup:
            return self.rise(step, warmup)
        return self.factor(step, self.context.total_steps, warmup)

    def apply(self) -> None:
        """Set the rates of the next step anew, after something but a step has changed them.

        What that may be: a validation, or another length of the run.
        """
        factor = self._factor_now(self.last_epoch)
        self._last_lr = [base * factor for base in self.base_lrs]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers only; the optimizer's groups carry the rates themselves."""
        state = {name: self.__dict__[name] for name in (*_STATE, *self.carried)}
        if self.context.seconds is not None:
            state |= {"steps": self.context.steps, "seconds": self.context.seconds}
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken, `apply` with the rates of this run's length.

        A timed run keeps its estimate of steps a second.
        """
        self.__dict__.update({name: state_dict[name] for name in (*_STATE, *self.carried)})
        seconds = self.context.seconds
        if seconds is not None and "steps" in state_dict:
            longer = seconds / state_dict.get("seconds", seconds)
            self.context.steps = round(state_dict["steps"] * longer)


def as_steps(length: float, total: int) -> int:
    """A length in steps: itself from 1 on, a fraction of `total` below 1."""
    return round(length if length >= 1 else length * total)


def check_length(key: str, length: float, context: ScheduleContext) -> None:
    """Refuse a length that is no number of steps or fraction, or longer than the run.

    Raises:
        InputError: naming `key`.
    """
    if length < 0 or (length >= 1 and length != int(length)):
        raise InputError(
            f"{key}: {length} is neither a whole number of steps nor a fraction below 1; "
            f"use {round(length) if length > 0 else 0} or, say, 0.02"
        )
    if context.seconds is None and as_steps(length, context.total_steps) > context.total_steps:
        raise InputError(
            f"{key}: {int(length)} steps are more than the {context.total_steps} steps of the "
            "whole run; use fewer, or a fraction below 1"
        )


def progress(step: int, start: int, end: int) -> float:
    """How far `step` is on the way from start (0.0) to end (1.0), never outside."""
    return min(1.0, max(0.0, (step - start) / max(1, end - start)))
