"""Weights as small integers: symmetric, so that zero stays zero and sparsity stays exact.

Shapes: O outputs, I inputs, G groups of inputs that share a scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from loomlab.compression.bit_widths import bits_by_name
from loomlab.compression.post_training import PostTraining
from loomlab.errors import InputError
from loomlab.model.reshaped import NF4, QuantizedLinear, replace

USUAL_GROUPS = (128, 64, 32, 16, 8)  # tried in this order where the user names none


def groups_of(layers: dict[str, nn.Linear], size: int | None, option: str) -> dict[str, int]:
    """How many groups the inputs of each layer make.

    Raises:
        InputError: a layer whose inputs `size` does not divide.
    """
    for name, layer in layers.items():
        if size and layer.in_features % size:
            raise InputError(
                f"compression.{option}.group_size={size} does not divide the "
                f"{layer.in_features} inputs of {name}: set it to null, which finds one that does"
            )
    return {
        name: layer.in_features // (size or _usual(layer.in_features))
        for name, layer in layers.items()
    }


def _usual(inputs: int) -> int:
    return next((size for size in USUAL_GROUPS if inputs % size == 0), inputs)


def scales_of(weight_OI: Tensor, groups: int, bits: int, code: str = "int") -> Tensor:
    """The scale (O, G) that lets the largest weight of a group be its largest integer.

    Rounded to what is saved: 32 bits for a scale per row, 16 for one per group.
    """
    largest = weight_OI.detach().float().view(len(weight_OI), groups, -1).abs().amax(2)
    scales = largest / (1.0 if code == "nf4" else 2 ** (bits - 1) - 1)
    scales = scales.clamp(min=1e-7)  # a row of zeros has a scale, too
    return scales if groups == 1 else scales.half().float()


def encode(weight_OI: Tensor, scales_OG: Tensor, bits: int, code: str = "int") -> Tensor:
    """The integers (O, I) nearest to a weight; for nf4 the places in its table, minus 8."""
    inputs = weight_OI.shape[1]
    wide = scales_OG.repeat_interleave(inputs // scales_OG.shape[1], dim=1)
    values = weight_OI.detach().float() / wide
    if code == "nf4":
        table = torch.tensor(NF4)
        return (torch.bucketize(values, (table[1:] + table[:-1]) / 2) - 8).to(torch.int8)
    top = 2 ** (bits - 1) - 1
    return values.round().clamp(-top, top).to(torch.int8)


def halves(scales_I: Tensor) -> Tensor:
    """Scales of inputs as they are saved, in 16 bits, within what these can hold."""
    return scales_I.clamp(1e-4, 1e4).half().float()


def quantize_layer(
    model: nn.Module, name: str, layer: nn.Linear, coded: tuple[Tensor, Tensor], bits: int,
    code: str = "int", input_scales: Tensor | None = None, activations: int = 0,
) -> QuantizedLinear:  # fmt: skip
    """Put a layer of integers and scales in the place of a linear one; 3 bits are kept in 4."""
    bits = 4 if bits == 3 else bits
    made = QuantizedLinear.of(layer, *coded, bits, code, input_scales, activations)
    replace(model, name, made, made.record())
    return made


class Quantizer(PostTraining):
    """Round every weight to the nearest value there is, one scale per row or group."""

    bits = 8
    code = "int"
    bits_of: Mapping[str, int] = {}  # of layers by pattern, where not as all others
    group_size: int | None = 0  # inputs that share a scale; 0 for all, None for a usual number
    activations = 0  # bits that the inputs of layers are rounded to; 0 leaves them floats

    def check(self, layers: dict[str, nn.Linear]) -> None:
        """The group size divides every layer, and there are layers for all patterns."""
        self.widths = bits_by_name(layers, self.bits, self.bits_of, self.option)
        self.groups = (
            dict.fromkeys(layers, 1)
            if self.group_size == 0
            else groups_of(layers, self.group_size, self.option)
        )

    @torch.no_grad()
    def finalize(self, model: nn.Module) -> nn.Module:
        """Replace the layers."""
        made = {}
        for name, layer in self.layers(model).items():
            bits = self.widths[name]
            scales = scales_of(layer.weight, self.groups[name], bits, self.code)
            codes = encode(layer.weight, scales, bits, self.code)
            made[name] = quantize_layer(
                model, name, layer, (codes, scales), bits, self.code, activations=self.activations
            )
        self._figures = quantized_figures(made)
        return model


def quantized_figures(layers: dict[str, QuantizedLinear]) -> dict[str, float]:
    """Layers, their weights, bits per weight with all scales, and the share of zeros."""
    weights = sum(m.in_features * m.out_features for m in layers.values())
    stored = [t for m in layers.values() for t in m.buffers()]
    zeros = sum(int((m.weight == 0).sum()) for m in layers.values())
    return {
        "layers": float(len(layers)),
        "weights": float(weights),
        "bits_per_weight": 8 * sum(t.numel() * t.element_size() for t in stored) / weights,
        "sparsity": zeros / weights,
    }
