"""One cycle: up to the peak, down to almost nothing, momentum the other way round."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from torch.optim import Optimizer

from loomlab.errors import InputError
from loomlab.scheduler.base import Schedule, progress


class OneCycle(Schedule):
    """From a fraction of the base rate up to it and down again, momentum down and up.

    Source: Smith & Topin 2018, "Super-Convergence", with two phases as in torch's OneCycleLR. The
    rise takes `warmup`, from `start` to 1 times the base rate; the fall ends at `minimum`. What
    the optimizer calls `momentum`, or the first of its `betas`, goes from `momentum_high` to
    `momentum_low` and back; an optimizer without either gets the rates alone.

    Raises:
        InputError: an optimizer whose momentum must not change.
    """

    requires = {"optimizer.momentum_may_change": (True,)}
    because = {"optimizer.momentum_may_change": "its average is tied to a momentum that stays"}

    def __init__(
        self,
        warmup: Annotated[float, "[0, inf)"] = 0.3,
        start: Annotated[float, "(0, 1]"] = 0.04,
        minimum: Annotated[float, "[0, 1]"] = 4e-6,
        shape: Literal["cosine", "linear"] = "cosine",
        cycle_momentum: bool = True,
        momentum_low: Annotated[float, "[0, 1)"] = 0.85,
        momentum_high: Annotated[float, "[0, 1)"] = 0.95,
        *,
        optimizer: Optimizer,
        **kwargs: Any,
    ) -> None:
        if cycle_momentum and callable(getattr(optimizer, "eval", None)):
            raise InputError(
                f"scheduler.cycle_momentum: {type(optimizer).__name__} averages its weights with "
                "a momentum that must stay; set scheduler.cycle_momentum=false"
            )
        self.start, self.minimum, self.shape = start, minimum, shape
        self.cycle_momentum = cycle_momentum
        self.momentum_low, self.momentum_high = momentum_low, momentum_high
        super().__init__(warmup, optimizer=optimizer, **kwargs)

    def factor(self, step: int, total: int, warmup: int) -> float:
        """On the way down from 1 to `minimum`, which the last step has."""
        return self._between(1.0, self.minimum, progress(step, max(0, warmup - 1), total - 1))

    def rise(self, step: int, warmup: int) -> float:
        """On the way up from `start` to 1, which the last step of the warm-up has."""
        return self._between(self.start, 1.0, progress(step, 0, warmup - 1))

    def step(self, epoch: int | None = None) -> None:
        """Set the rates of the next step, and the momentum that goes with them."""
        super().step(epoch)
        self._turn_momentum()

    def apply(self) -> None:
        """Set the rates and the momentum of the next step anew."""
        super().apply()
        self._turn_momentum()

    def _turn_momentum(self) -> None:
        if not self.cycle_momentum:
            return
        momentum = self._momentum(self.last_epoch)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = type(group["betas"])((momentum, *group["betas"][1:]))
            elif "momentum" in group:
                group["momentum"] = momentum

    def _momentum(self, step: int) -> float:
        warmup, total = self.warmup_steps, self.context.total_steps
        low, high = self.momentum_low, self.momentum_high
        if step < warmup:
            return self._between(high, low, progress(step, 0, warmup - 1))
        return self._between(low, high, progress(step, max(0, warmup - 1), total - 1))

    def _between(self, first: float, last: float, done: float) -> float:
        if self.shape == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        return first + (last - first) * done
