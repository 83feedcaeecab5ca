"""bfloat16 autocast."""

from __future__ import annotations

from loomlab.precision.base import Precision


class BF16(Precision):
    """Matrix products in bfloat16 by autocast; weights, optimizer and loss stay in 32 bits."""

    bf16 = True
