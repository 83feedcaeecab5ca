"""Warm-up, stable phase, decay."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from loomlab.scheduler.base import Schedule, as_steps, check_length, progress
from loomlab.scheduler.context import ScheduleContext


class WSD(Schedule):
    """Warm-up, then the base rate, then a short decay at the end.

    Source: Hu et al. 2024, "MiniCPM", section 4; the decay `sqrt` is the 1-sqrt of Hagele et
    al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations".
    `decay` is steps if a whole number of at least 1, a fraction of the run if below 1;
    `minimum` is a fraction of the base rate, reached at the end of the run.

    Raises:
        InputError: a decay longer than the run.
    """

    def __init__(
        self,
        decay: Annotated[float, "[0, inf)"] = 0.2,
        minimum: Annotated[float, "[0, 1]"] = 0.0,
        shape: Literal["linear", "sqrt"] = "linear",
        *,
        context: ScheduleContext,
        **kwargs: Any,
    ) -> None:
        check_length("scheduler.decay", decay, context)
        self.decay = decay
        self.minimum = minimum
        self.shape = shape
        super().__init__(context=context, **kwargs)

    def factor(self, step: int, total: int, warmup: int) -> float:
        """1 until the decay starts, then 1 - (1 - minimum) * progress (or its root)."""
        start = max(warmup, total - as_steps(self.decay, total))
        done = progress(step, start, total)
        return 1 - (1 - self.minimum) * (math.sqrt(done) if self.shape == "sqrt" else done)
