"""What every precision option offers."""

from __future__ import annotations

from typing import Literal

LightningPrecision = Literal["32-true", "bf16-mixed"]


class Precision:
    """The number format of the computation."""

    bf16 = False

    @property
    def lightning(self) -> LightningPrecision:
        """The format as Lightning names it."""
        return "bf16-mixed" if self.bf16 else "32-true"
