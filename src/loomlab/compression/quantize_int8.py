"""Weights in 8 bits."""

from __future__ import annotations

from loomlab.compression.quantization import Quantizer


class QuantizeInt8(Quantizer):
    """Round weights to 255 evenly spaced values, one scale per output; activations stay floats.

    Dettmers et al. 2022, arXiv 2208.07339, section 2, without its treatment of outliers.
    """

    stage = 80
    option = "quantize_int8"
    bits = 8
    conflicts = ("quantize_int4", "quantize_nf4", "gptq", "qat")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is acted on are the weights of linear layers",
        "conflicts": "weights are rounded once",
    }

    def __init__(
        self,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`targets` are names of layers (or globs); empty means all of the trunk."""
        super().__init__(targets)
