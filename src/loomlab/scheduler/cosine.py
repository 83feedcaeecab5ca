"""Cosine decay."""

from __future__ import annotations

import math
from typing import Annotated, Any

from loomlab.scheduler.base import Schedule, progress


class Cosine(Schedule):
    """Half a cosine from the base rate down to `minimum` times it.

    Source: Loshchilov & Hutter 2017, "SGDR", equation 5, one cycle. `minimum` is a fraction of
    the base rate, reached at the end of the run.
    """

    def __init__(self, minimum: Annotated[float, "[0, 1]"] = 0.1, **kwargs: Any) -> None:
        self.minimum = minimum
        super().__init__(**kwargs)

    def factor(self, step: int, total: int, warmup: int) -> float:
        """minimum + (1 - minimum) * (1 + cos(pi * progress)) / 2."""
        wave = (1 + math.cos(math.pi * progress(step, warmup, total))) / 2
        return self.minimum + (1 - self.minimum) * wave
