"""Inverse square root decay."""

from __future__ import annotations

import math

from loomlab.scheduler.base import Schedule


class InverseSqrt(Schedule):
    """One over the square root of the step, after the warm-up; knows no end.

    Source: Vaswani et al. 2017, "Attention Is All You Need", equation 3, scaled so that the base
    rate is reached at the last step of the warm-up.
    """

    def factor(self, step: int, total: int, warmup: int) -> float:
        """sqrt(warmup / (step + 1)), steps counted from 1 as in the paper."""
        return math.sqrt(max(1, warmup) / (step + 1))
