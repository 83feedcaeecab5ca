"""Quantize and let the weights that are still to come make up for it.

Shapes: O outputs, I inputs, G groups of inputs that share a scale.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from loomlab.compression.bit_widths import bits_by_name
from loomlab.compression.calibration import inverse_hessian_factor
from loomlab.compression.post_training import Calibrated
from loomlab.compression.quantization import (
    encode,
    groups_of,
    quantize_layer,
    quantized_figures,
    scales_of,
)
from loomlab.model.reshaped import dequantize


class GPTQ(Calibrated):
    """Round column after column; each time the columns to the right absorb the error.

    Frantar et al. 2022, arXiv 2210.17323, algorithm 1. What was pruned stays zero. 3 bits are
    saved in 4.
    """

    stage = 80
    option = "gptq"
    conflicts = ("quantize_int8", "quantize_int4", "quantize_nf4", "qat")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is acted on are the weights of linear layers",
        "conflicts": "weights are rounded once",
    }

    def __init__(
        self,
        bits: Literal[3, 4, 8] = 4,
        group_size: Annotated[int, "[1, inf)"] | None = None,
        damping: Annotated[float, "(0, inf)"] = 0.01,
        rows: Annotated[int, "[1, inf)"] | None = None,
        bits_of: dict[str, Literal[2, 3, 4, 8]] = {},  # noqa: B006  a schema default, never changed
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`group_size` of None takes the largest of 128, 64, 32, 16, 8 that divides a layer.

        `damping` is that of the Hessian. `rows` of training text are read (as many as there
        are, up to 128, if not given). `bits_of` gives layers other bits, by name or glob, such as
        `{mlp.*: 3}`; of two that fit a layer the last counts. `targets` are names of layers (or
        globs); empty means all of the trunk.
        """
        super().__init__(targets, rows)
        self.bits, self.bits_of = bits, dict(bits_of)
        self.group_size, self.damping = group_size, damping

    def check(self, layers: dict[str, nn.Linear]) -> None:
        """The group size divides every layer, and there are layers for all patterns."""
        self.widths = bits_by_name(layers, self.bits, self.bits_of, self.option)
        self.groups = groups_of(layers, self.group_size, self.option)

    @torch.no_grad()
    def finalize(self, model: nn.Module) -> nn.Module:
        """Replace layer after layer; each is measured behind those that are replaced."""
        made = {}
        for name, layer, gram in self.measured(model):
            bits = self.widths[name]
            coded = self.coded(layer.weight.detach(), gram, self.groups[name], bits)
            made[name] = quantize_layer(model, name, layer, coded, bits)
        self._batches = []
        self._figures = quantized_figures(made)
        return model

    def coded(
        self, weight_OI: Tensor, gram: Tensor, groups: int, bits: int
    ) -> tuple[Tensor, Tensor]:
        """Integers (O, I) and scales (O, G) that change the outputs least."""
        factor, _ = inverse_hessian_factor(gram, self.damping)
        weight, zero = weight_OI.float().clone(), weight_OI == 0
        codes, scales = torch.zeros(weight.shape, dtype=torch.int8), []
        size = weight.shape[1] // groups
        for start in range(0, weight.shape[1], size):
            end = start + size
            scale_O1 = scales_of(weight[:, start:end] * ~zero[:, start:end], 1, bits)
            scales.append(scale_O1.half().float() if groups > 1 else scale_O1)
            errors = torch.zeros(len(weight), size)
            for i in range(start, end):
                column = weight[:, i : i + 1] * ~zero[:, i : i + 1]
                codes[:, i : i + 1] = encode(column, scales[-1], bits)
                rounded = dequantize(codes[:, i : i + 1], scales[-1], "int")
                error = (weight[:, i : i + 1] - rounded) / factor[i, i]
                weight[:, i:end] -= error * factor[i, i:end]
                errors[:, i - start] = error[:, 0]
            weight[:, end:] -= errors @ factor[start:end, end:]
        return codes, torch.cat(scales, dim=1)
