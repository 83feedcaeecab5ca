"""No decay."""

from __future__ import annotations

from loomlab.scheduler.base import Schedule


class Constant(Schedule):
    """The base rate throughout, after the warm-up."""

    def factor(self, step: int, total: int, warmup: int) -> float:
        """Always 1."""
        return 1.0
