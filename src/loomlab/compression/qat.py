"""Train with the weights as they will be once they are integers."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlab.compression.base import Compression
from loomlab.compression.quantization import (
    encode,
    groups_of,
    quantize_layer,
    quantized_figures,
    scales_of,
)
from loomlab.compression.targets import linear_layers
from loomlab.model.reshaped import dequantize


class QAT(Compression):
    """Round weights in every pass, and let the gradient go through as if they were not rounded.

    Jacob et al. 2018, arXiv 1712.05877, with the straight-through estimator of Bengio et al. 2013
    (arXiv 1308.3432). What is saved are the integers training saw; activations stay floats.
    """

    stage = 80
    cut_up = True  # a layer has its whole weight while it answers; not so in tensor parallelism
    conflicts = (
        "lora", "prune_magnitude", "prune_wanda", "prune_sparsegpt", "prune_gradual",
        "quantize_int8", "quantize_int4", "quantize_nf4", "gptq", "low_rank",
    )  # fmt: skip
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is rounded are the weights of linear layers",
        "conflicts": "training sees its rounded weights and no others",
    }

    def __init__(
        self,
        bits: Literal[4, 8] = 8,
        group_size: Annotated[int, "[1, inf)"] | None = None,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """At 8 bits a row shares a scale, unless `group_size` inputs are to.

        At 4 bits `group_size` of None takes the largest of 128, 64, 32, 16, 8 that divides a
        layer. `targets` are names of layers (or globs); empty means all of the trunk.
        """
        self.bits, self.group_size, self.targets = bits, group_size, list(targets)

    def transform(self, model: nn.Module) -> nn.Module:
        """Let the layers answer with rounded weights.

        Raises:
            InputError: a target or a group size that does not fit the model.
        """
        layers = linear_layers(model, self.targets, "qat")
        whole = self.bits == 8 and self.group_size is None
        groups = dict.fromkeys(layers, 1)
        self.groups = groups if whole else groups_of(layers, self.group_size, "qat")
        for name, layer in layers.items():
            Rounded.turn(layer, self.groups[name], self.bits)
        return model

    @torch.no_grad()
    def finalize(self, model: nn.Module) -> nn.Module:
        """Replace the layers by those of the integers."""
        made = {}
        for name, layer in linear_layers(model, self.targets, "qat").items():
            coded = integers(layer.weight, self.groups[name], self.bits)
            made[name] = quantize_layer(model, name, layer, coded, self.bits)
        self._figures = quantized_figures(made)
        return model

    def report(self) -> dict[str, float]:
        """Figures of the layers that were replaced."""
        return dict(self._figures)


class Rounded(nn.Linear):
    """A linear layer that answers with its weight rounded; the weight itself is what is trained.

    It has the names of any linear layer, so optimizers, checkpoints and `freeze` see no other.
    """

    groups: int
    bits: int

    @classmethod
    def turn(cls, layer: nn.Linear, groups: int, bits: int) -> None:
        """Make an existing layer one of these."""
        layer.__class__ = cls
        layer.groups, layer.bits = groups, bits  # type: ignore[assignment]

    def rounded(self) -> Tensor:
        """The weight its integers stand for, with the gradient of the weight itself."""
        with torch.no_grad():
            made = dequantize(*integers(self.weight, self.groups, self.bits), "int")
            off = made - self.weight
        return self.weight + off

    def forward(self, input: Tensor) -> Tensor:
        """What the layer will answer once it is saved."""
        return F.linear(input, self.rounded(), self.bias)


def integers(weight: Tensor, groups: int, bits: int) -> tuple[Tensor, Tensor]:
    """The integers nearest to a weight, and their scales."""
    scales = scales_of(weight, groups, bits)
    return encode(weight, scales, bits), scales
