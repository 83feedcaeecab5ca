"""Weights in 4 bits whose values lie as normally distributed weights do."""

from __future__ import annotations

from typing import Annotated

from loomlab.compression.quantization import Quantizer


class QuantizeNF4(Quantizer):
    """Round weights to the 16 values of NormalFloat4, one scale per group of inputs.

    Dettmers et al. 2023, arXiv 2305.14314, section 3; scales are kept in 16 bits.
    """

    stage = 80
    option = "quantize_nf4"
    bits = 4
    code = "nf4"
    conflicts = ("quantize_int8", "quantize_int4", "gptq", "qat")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is acted on are the weights of linear layers",
        "conflicts": "weights are rounded once",
    }

    def __init__(
        self,
        group_size: Annotated[int, "[1, inf)"] | None = None,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`group_size` of None takes the largest of 128, 64, 32, 16, 8 that divides a layer.

        `targets` are names of layers (or globs); empty means all of the trunk.
        """
        super().__init__(targets)
        self.group_size = group_size
