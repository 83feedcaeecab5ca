"""Single precision."""

from __future__ import annotations

from loomlab.precision.base import Precision


class FP32(Precision):
    """Weights and computation in 32-bit floats."""

    bf16 = False
