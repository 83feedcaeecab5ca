"""Weights in 8 bits."""

from __future__ import annotations

from loomlab.compression.quantization import Quantizer


class QuantizeInt8(Quantizer):
    """Round weights to 255 evenly spaced values, one scale per output; of `dynamic` inputs too.

    Dettmers et al. 2022, arXiv 2208.07339, section 2, without its treatment of outliers; for
    these there is smoothquant.
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
        dynamic: bool = False,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`dynamic` rounds what goes into a layer to 8 bits, each token by a scale found as it
        comes, and multiplies integers; else inputs stay floats.

        `targets` are names of layers (or globs); empty means all of the trunk.
        """
        super().__init__(targets)
        self.activations = 8 if dynamic else 0
