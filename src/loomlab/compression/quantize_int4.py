"""Weights in 4 bits, or in 3."""

from __future__ import annotations

from typing import Annotated, Literal

from loomlab.compression.quantization import Quantizer


class QuantizeInt4(Quantizer):
    """Round weights to 15 evenly spaced values (7 for 3 bits), one scale per group of inputs.

    Two weights lie in a byte, also of 3 bits. Dettmers & Zettlemoyer 2023, arXiv 2212.09720.
    """

    stage = 80
    option = "quantize_int4"
    conflicts = ("quantize_int8", "quantize_nf4", "gptq", "qat")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is acted on are the weights of linear layers",
        "conflicts": "weights are rounded once",
    }

    def __init__(
        self,
        bits: Literal[3, 4] = 4,
        group_size: Annotated[int, "[1, inf)"] | None = None,
        bits_of: dict[str, Literal[2, 3, 4, 8]] = {},  # noqa: B006  a schema default, never changed
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`group_size` of None takes the largest of 128, 64, 32, 16, 8 that divides a layer.

        `bits_of` gives layers another number of bits, by name or glob, such as
        `{mlp.*: 3}`; of two that fit a layer the last counts, and 3 bits are saved in 4.
        `targets` are names of layers (or globs); empty means all of the trunk.
        """
        super().__init__(targets)
        self.bits, self.group_size, self.bits_of = bits, group_size, dict(bits_of)
