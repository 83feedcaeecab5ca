"""What every precision option offers."""

from __future__ import annotations

from typing import Literal

LightningPrecision = Literal["32-true", "bf16-mixed"]


class Precision:
    """The number format of the computation, as Lightning names it."""

    lightning: LightningPrecision
