"""Weights and inputs of layers in 8 bits, and what is hard to round in inputs moved to weights.

Shapes: N tokens, O outputs, I inputs.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from loomlab.compression.post_training import Calibrated
from loomlab.compression.quantization import (
    encode,
    halves,
    quantize_layer,
    quantized_figures,
    scales_of,
)


def largest(x_NI: Tensor) -> Tensor:
    """The size of the largest value of each input (I)."""
    return x_NI.abs().amax(0)


class SmoothQuant(Calibrated):
    """Divide inputs by a scale and multiply weights by it, so that both are easy to round.

    Xiao et al. 2022, arXiv 2211.10438, section 4 and equation 4. Then weights are int8 with a
    scale per output, inputs int8 with a scale per token that is found as they come (setting O1 of
    table 2, with finer scales of weights), and integers are multiplied as such, added up in
    int32; floats that hold the same integers take their place where a gradient is asked for or
    the model is exported. Scales are kept with each layer, not folded into the norm before it.
    """

    stage = 80
    option = "smoothquant"
    conflicts = ("quantize_int8", "quantize_int4", "quantize_nf4", "gptq", "awq", "qat", "ternary")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is acted on are the weights of linear layers",
        "conflicts": "weights are rounded once",
    }

    def __init__(
        self,
        alpha: Annotated[float, "[0, 1]"] = 0.5,
        rows: Annotated[int, "[1, inf)"] | None = None,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`alpha` is how much is moved to the weights: at 0 nothing of inputs' outliers.

        `rows` of training text are read (as many as there are, up to 128, if not given).
        `targets` are names of layers (or globs); empty means all of the trunk.
        """
        super().__init__(targets, rows)
        self.alpha = alpha

    def measure(self, x_NI: Tensor) -> Tensor:
        """How large each input gets."""
        return largest(x_NI)

    def merge(self, one: Tensor, other: Tensor) -> Tensor:
        """The larger of both."""
        return torch.maximum(one, other)

    @torch.no_grad()
    def finalize(self, model: nn.Module) -> nn.Module:
        """Replace layer after layer; each is measured behind those that are replaced."""
        made = {}
        for name, layer, largest_I in self.measured(model):
            weight, moved = self.smoothed(layer.weight, largest_I)
            scales = scales_of(weight, 1, 8)
            coded = encode(weight, scales, 8), scales
            made[name] = quantize_layer(
                model, name, layer, coded, 8, input_scales=moved, activations=8
            )
        self._batches = []
        self._figures = quantized_figures(made)
        return model

    def smoothed(self, weight_OI: Tensor, largest_I: Tensor) -> tuple[Tensor, Tensor]:
        """The weight times the scales of inputs, and these (I): s = max|x|^a / max|w|^(1 - a).

        An input that was never other than zero, or that no weight reads, has a scale of 1.
        """
        weight = weight_OI.detach().float()
        reads = weight.abs().amax(0)
        scales = largest_I**self.alpha / reads ** (1 - self.alpha)
        scales = halves(torch.where((largest_I > 0) & (reads > 0), scales, 1.0))
        return weight * scales, scales
