"""Decay when the held-out metric stands still."""

from __future__ import annotations

from typing import Annotated, Any

from loomlab.scheduler.base import Schedule


class Plateau(Schedule):
    """The base rate, lowered when `patience` validations in a row brought no new best.

    The metric is the one that runs of the objective are compared by. `reduce` is what the rate is
    multiplied with each time, down to `minimum` times the base rate; a new best is better than
    the old one by more than `threshold` of its size. Validations before the end of the warm-up
    only set the mark.
    """

    carried = ("level", "best", "bad")

    def __init__(
        self,
        reduce: Annotated[float, "(0, 1)"] = 0.5,
        patience: Annotated[int, "[1, inf)"] = 2,
        threshold: Annotated[float, "[0, 1)"] = 1e-3,
        minimum: Annotated[float, "[0, 1]"] = 0.01,
        **kwargs: Any,
    ) -> None:
        self.reduce, self.patience = reduce, patience
        self.threshold, self.minimum = threshold, minimum
        self.level = 1.0
        self.best: float | None = None
        self.bad = 0  # validations since the best one
        super().__init__(**kwargs)

    def factor(self, step: int, total: int, warmup: int) -> float:
        """The level that the validations so far have left."""
        return self.level

    def observe(self, value: float) -> None:
        """Take note of a validation; less is better. Acts on the very next step."""
        if self.best is None or value < self.best - self.threshold * abs(self.best):
            self.best, self.bad = value, 0
            return
        if self.last_epoch < self.warmup_steps:
            return
        self.bad += 1
        if self.bad >= self.patience:
            self.level, self.bad = max(self.minimum, self.level * self.reduce), 0
            self.apply()
