"""Round weights to nearest, those of large inputs more finely.

Shapes: N tokens, O outputs, I inputs, G groups of inputs that share a scale.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from loomlab.compression.bit_widths import bits_by_name
from loomlab.compression.calibration import gram_of
from loomlab.compression.post_training import Calibrated
from loomlab.compression.quantization import (
    encode,
    groups_of,
    halves,
    quantize_layer,
    quantized_figures,
    scales_of,
)
from loomlab.model.reshaped import dequantize

Coded = tuple[Tensor, Tensor, Tensor]


def gram_and_sizes(x_NI: Tensor) -> Tensor:
    """x x^T, and below it the sum of |x|: (I + 1, I)."""
    return torch.cat([gram_of(x_NI), x_NI.abs().sum(0, keepdim=True)])


class AWQ(Calibrated):
    """Multiply weights of large inputs by a scale before rounding, and divide the inputs by it.

    Lin et al. 2023, arXiv 2306.00978, section 3.2: the scale is the mean size of an input to a
    power that is searched for, layer by layer, so that outputs change least. Scales are kept with
    each layer, not folded into the norm before it; groups are symmetric, and nothing is clipped.
    What was pruned stays zero. 3 bits are saved in 4.
    """

    stage = 80
    option = "awq"
    conflicts = ("quantize_int8", "quantize_int4", "quantize_nf4", "gptq", "qat", "ternary")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is acted on are the weights of linear layers",
        "conflicts": "weights are rounded once",
    }

    def __init__(
        self,
        bits: Literal[3, 4, 8] = 4,
        group_size: Annotated[int, "[1, inf)"] | None = None,
        powers: Annotated[int, "[1, inf)"] = 20,
        rows: Annotated[int, "[1, inf)"] | None = None,
        bits_of: dict[str, Literal[2, 3, 4, 8]] = {},  # noqa: B006  a schema default, never changed
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`group_size` of None takes the largest of 128, 64, 32, 16, 8 that divides a layer.

        `powers` is how many are tried, from 0 (rounding to nearest) up to less than 1. `rows` of
        training text are read (as many as there are, up to 128, if not given). `bits_of` gives
        layers other bits, by name or glob, such as `{mlp.*: 3}`; of two that fit a layer the last
        counts. `targets` are names of layers (or globs); empty means all of the trunk.
        """
        super().__init__(targets, rows)
        self.bits, self.bits_of = bits, dict(bits_of)
        self.group_size, self.powers = group_size, powers

    def check(self, layers: dict[str, nn.Linear]) -> None:
        """The group size divides every layer, and there are layers for all patterns."""
        self.widths = bits_by_name(layers, self.bits, self.bits_of, self.option)
        self.groups = groups_of(layers, self.group_size, self.option)

    def measure(self, x_NI: Tensor) -> Tensor:
        """x x^T, and how large each input is."""
        return gram_and_sizes(x_NI)

    @torch.no_grad()
    def finalize(self, model: nn.Module) -> nn.Module:
        """Replace layer after layer; each is measured behind those that are replaced."""
        made = {}
        for name, layer, found in self.measured(model):
            bits, groups = self.widths[name], self.groups[name]
            codes, scales, moved = self.coded(layer.weight.detach(), found, groups, bits)
            made[name] = quantize_layer(
                model, name, layer, (codes, scales), bits, input_scales=moved
            )
        self._batches = []
        self._figures = quantized_figures(made)
        return model

    def coded(self, weight_OI: Tensor, found: Tensor, groups: int, bits: int) -> Coded:
        """Integers (O, I), scales (O, G) and scales of inputs (I) that change the outputs least.

        `found` is what `measure` gives. Of equally good powers the smallest is taken.
        """
        weight, gram, sizes_I = weight_OI.float(), found[:-1], found[-1]
        tried: list[tuple[float, Coded]] = []
        for step in range(self.powers):
            scales_I = input_scales(sizes_I, step / self.powers)
            scales = scales_of(weight * scales_I, groups, bits)
            codes = encode(weight * scales_I, scales, bits)
            off = dequantize(codes, scales, "int") / scales_I - weight
            tried.append((float((off @ gram * off).sum()), (codes, scales, scales_I)))
        return min(tried, key=lambda one: one[0])[1]


def input_scales(sizes_I: Tensor, power: float) -> Tensor:
    """Sizes of inputs to a power, around 1; an input that was never other than zero has 1."""
    alive = sizes_I > 0
    if not alive.any():
        return torch.ones_like(sizes_I)
    scales = sizes_I.double()[alive] ** power
    middle = (scales.max() * scales.min()).sqrt()
    return halves(torch.ones_like(sizes_I).masked_scatter(alive, (scales / middle).float()))
