"""Layers that compression put in place of nn.Linear, and how they are saved and found again.

Such a model is saved with a list of these layers in its config.json (`loomlab_layers`, by name).
`rebuild` puts empty ones of the same kind into a new model, into which the weights then fit.

Shapes: O outputs, I inputs, G groups of inputs that share a scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlab.attention.prefixed import Prefixed
from loomlab.model import eight_bits

MARKER = "loomlab_layers"
# Dettmers et al. 2023, "QLoRA", appendix E: the sixteen values of NormalFloat4; one of them is 0.
NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
)  # fmt: skip


class QuantizedLinear(nn.Module):
    """A linear layer whose weight is kept as small integers and one scale per group of inputs.

    8 bits are kept as int8, 4 bits two to a byte, 2 bits four. The weight is made of them at each
    call. With 0 groups one scale is for the whole matrix. With 8 bits for `activations`, and a
    scale per row or matrix, the inputs are rounded, too. `scaled`: the inputs are divided by
    scales of their own, which the weight was multiplied by.
    """

    def __init__(
        self, inputs: int, outputs: int, bits: int, groups: int, code: str, bias: bool,
        activations: int = 0, scaled: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_features, self.out_features = inputs, outputs
        self.bits, self.groups, self.code, self.activations = bits, groups, code, activations
        width, kind = (inputs, torch.int8) if bits == 8 else (-(-inputs * bits // 8), torch.uint8)
        scale_kind = torch.float32 if groups <= 1 else torch.float16
        rows = outputs if groups else 1
        self.register_buffer("codes", torch.zeros(outputs, width, dtype=kind))
        self.register_buffer("scales", torch.ones(rows, max(groups, 1), dtype=scale_kind))
        kept = torch.ones(inputs, dtype=torch.float16) if scaled else None
        self.register_buffer("input_scales", kept)
        self.codes: Tensor
        self.scales: Tensor
        self.input_scales: Tensor | None
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    @classmethod
    def of(
        cls, linear: nn.Linear, codes_OI: Tensor, scales_OG: Tensor, bits: int, code: str,
        input_scales_I: Tensor | None = None, activations: int = 0,
    ) -> QuantizedLinear:  # fmt: skip
        """The layer for integers of at most `bits` and their scales, with the bias as it was."""
        outputs, inputs = codes_OI.shape
        biased, scaled = linear.bias is not None, input_scales_I is not None
        groups = scales_OG.shape[1] if len(scales_OG) == outputs else 0
        made = cls(inputs, outputs, bits, groups, code, biased, activations, scaled)
        made.codes = codes_OI.to(torch.int8) if bits == 8 else pack(codes_OI, bits)
        made.scales = scales_OG.to(made.scales.dtype)
        made.input_scales = None if input_scales_I is None else input_scales_I.half()
        made.bias = linear.bias
        return made

    @property
    def integers(self) -> Tensor:
        """The integers (O, I), one to a byte."""
        return self.codes if self.bits == 8 else unpack(self.codes, self.in_features, self.bits)

    @property
    def weight(self) -> Tensor:
        """The weight (O, I) that the integers stand for, in 32-bit floats."""
        made = dequantize(self.integers, self.scales, self.code)
        return made if self.input_scales is None else made / self.input_scales.float()

    def forward(self, x: Tensor) -> Tensor:
        """What nn.Linear gives with that weight."""
        if not self.activations:
            return F.linear(x, self.weight.to(x.dtype), self.bias)
        x = x if self.input_scales is None else x / self.input_scales.to(x.dtype)
        return eight_bits.linear(x, self.integers, self.scales, self.bias)

    def record(self) -> dict[str, Any]:
        """What `rebuild` needs to know."""
        return {
            "kind": "quantized", "inputs": self.in_features, "outputs": self.out_features,
            "bits": self.bits, "groups": self.groups, "code": self.code,
            "bias": self.bias is not None, "activations": self.activations,
            "scaled": self.input_scales is not None,
        }  # fmt: skip


class Adapter(nn.Module):
    """A layer, and after it a narrow residual MLP that starts as nothing."""

    def __init__(self, layer: nn.Module, bottleneck: int) -> None:
        super().__init__()
        self.layer = layer
        width = cast(int, getattr(layer, "nf", 0) or layer.out_features)  # nf of GPT-2's Conv1D
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    @property
    def weight(self) -> Tensor:
        """That of the layer: T5 asks for its type."""
        return cast(Tensor, self.layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        """What the layer gives, and what the MLP adds to it."""
        y: Tensor = self.layer(x)
        return y + self.up(F.gelu(self.down(y)))


def dequantize(codes_OI: Tensor, scales_OG: Tensor, code: str) -> Tensor:
    """The weight (O, I) of integers in [-127, 127], or in [-8, 7] for 4 bits, and scales."""
    outputs, inputs = codes_OI.shape
    values = codes_OI.float()
    if code == "nf4":
        values = torch.tensor(NF4)[codes_OI.long() + 8]
    grouped = values.view(outputs, scales_OG.shape[1], -1) * scales_OG.float()[:, :, None]
    return grouped.view(outputs, inputs)


def pack(codes_OI: Tensor, bits: int = 4) -> Tensor:
    """Integers of 4 bits two to a byte along the inputs, of 2 bits four; zeros fill the last."""
    to_a_byte = 8 // bits
    filled = F.pad(codes_OI, (0, -codes_OI.shape[1] % to_a_byte))
    unsigned = (filled + 2 ** (bits - 1)).to(torch.uint8)
    packed = unsigned[:, 0::to_a_byte]
    for place in range(1, to_a_byte):
        packed = packed | (unsigned[:, place::to_a_byte] << (bits * place))
    return packed


def unpack(packed: Tensor, inputs: int, bits: int = 4) -> Tensor:
    """The integers that `pack` was given."""
    half = 2 ** (bits - 1)
    each = [packed >> (bits * place) & (2 * half - 1) for place in range(8 // bits)]
    return torch.stack(each, dim=2).flatten(1)[:, :inputs].to(torch.int8) - half


def low_rank(inputs: int, outputs: int, rank: int, bias: bool) -> nn.Sequential:
    """Two thin linear layers in a row: inputs to `rank`, `rank` to outputs."""
    return nn.Sequential(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=bias))


def replace(model: Any, name: str, layer: nn.Module, record: dict[str, Any]) -> None:
    """Put a layer in a model's place of that name and note it in the model's config."""
    model.set_submodule(name, layer)
    noted = dict(getattr(model.config, MARKER, None) or {})
    setattr(model.config, MARKER, noted | {name: record})


def rebuild(model: Any) -> Any:
    """Put the layers that a new model's config lists into it, with empty weights."""
    makers: dict[str, Callable[..., nn.Module]] = {
        "quantized": lambda _, **settings: QuantizedLinear(**settings),
        "low_rank": lambda _, **settings: low_rank(**settings),
        "linear": _linear,
        "heads": _with_heads,
        "adapter": Adapter,
        "prefix": Prefixed,
    }
    for name, record in getattr(model.config, MARKER).items():
        settings = {k: v for k, v in record.items() if k != "kind"}
        model.set_submodule(name, makers[record["kind"]](model.get_submodule(name), **settings))
    return model


def _linear(_: nn.Module, inputs: int, outputs: int, bias: bool) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=bias)


def _with_heads(attention: Any, heads: int) -> nn.Module:
    """An attention whose projections are of so many heads."""
    attention.heads = heads
    return cast(nn.Module, attention)
