"""Low-rank adapters beside weights that are kept as small integers while they rest."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftConfig
from peft.tuners.lora import Linear
from torch import Tensor, nn

from loomlab.compression.adapted import Adapted
from loomlab.compression.quantization import encode, groups_of, scales_of
from loomlab.model.reshaped import QuantizedLinear

CODES = {"nf4": (4, "nf4"), "int4": (4, "int"), "int8": (8, "int")}


class QLoRA(Adapted):
    """LoRA on frozen weights of 4 or 8 bits: they take less memory, and each step takes longer.

    Dettmers et al. 2023, arXiv 2305.14314, without double quantization and paged optimizers. What
    is saved are floats: the rounded weights with the adapters merged in, as they were trained.
    On a CPU the process is smaller only if freed memory goes back to the system, which glibc sees
    to with MALLOC_MMAP_THRESHOLD_=1000000: the float weight of a layer comes and goes.
    """

    option = "qlora"
    kinds = (nn.Linear, QuantizedLinear)

    def __init__(
        self,
        rank: Annotated[int, "[1, inf)"] = 8,
        alpha: Annotated[float, "(0, inf)"] = 16.0,
        dropout: Annotated[float, "[0, 1)"] = 0.0,
        frozen: Literal["nf4", "int4", "int8"] = "nf4",
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`frozen` is how the weights are kept: per group at 4 bits, per row at 8.

        `targets` are names of layers (or globs); empty means all of the trunk.
        """
        super().__init__(targets)
        self.bits, self.code = CODES[frozen]
        self.settings: dict[str, Any] = {
            "r": rank, "lora_alpha": alpha, "lora_dropout": dropout,
        }  # fmt: skip

    @torch.no_grad()
    def transform(self, model: nn.Module) -> nn.Module:
        """Round the weights of the layers and put adapters beside them.

        Raises:
            InputError: a target that names no layer.
        """
        layers = cast(dict[str, nn.Linear], self.chosen(model))
        groups = dict.fromkeys(layers, 1) if self.bits == 8 else groups_of(layers, None, "qlora")
        for name, layer in layers.items():
            scales = scales_of(layer.weight, groups[name], self.bits, self.code)
            codes = encode(layer.weight, scales, self.bits, self.code)
            model.set_submodule(name, Resting.of(layer, codes, scales, self.bits, self.code))
        return super().transform(model)

    def config(self, layers: dict[str, nn.Module], **common: Any) -> PeftConfig:
        """Settings of LoRA, told that these layers are linear, too."""
        made = LoraConfig(**self.settings, **common)
        made._register_custom_module({Resting: Linear})
        return made

    def finalize(self, model: nn.Module) -> nn.Module:
        """Turn the integers into floats, and merge the adapters into these."""
        for layer in [m for m in model.modules() if isinstance(m, Linear)]:
            layer.base_layer = cast(Resting, layer.base_layer).as_floats()
        return super().finalize(model)


class Resting(QuantizedLinear):
    """A layer of integers whose weight is made anew for the backward pass instead of kept."""

    def forward(self, x: Tensor) -> Tensor:
        """What nn.Linear gives with the weight."""
        made: Tensor = _Rebuilt.apply(x, self)
        return made

    def as_floats(self) -> nn.Linear:
        """The same layer with its weight in floats."""
        made = nn.Linear(self.in_features, self.out_features, bias=False)
        made.weight = nn.Parameter(self.weight)
        made.bias = cast(nn.Parameter, self.bias)
        return made


class _Rebuilt(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Resting) -> Tensor:
        ctx.layer, ctx.dtype = layer, x.dtype
        return F.linear(x, layer.weight.to(x.dtype), layer.bias)

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Any:
        return (outer @ ctx.layer.weight.to(outer.dtype)).to(ctx.dtype), None
