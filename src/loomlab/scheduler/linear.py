"""Linear decay."""

from __future__ import annotations

from typing import Annotated, Any

from loomlab.scheduler.base import Schedule, progress


class Linear(Schedule):
    """A straight line from the base rate down to `minimum` times it.

    `minimum` is a fraction of the base rate, reached at the end of the run.
    """

    def __init__(self, minimum: Annotated[float, "[0, 1]"] = 0.0, **kwargs: Any) -> None:
        self.minimum = minimum
        super().__init__(**kwargs)

    def factor(self, step: int, total: int, warmup: int) -> float:
        """1 - (1 - minimum) * progress."""
        return 1 - (1 - self.minimum) * progress(step, warmup, total)
