"""Train with weights that are -1, 0 or 1 times one scale, and inputs of 8 bits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from loomlab.compression.base import Compression
from loomlab.compression.quantization import quantize_layer, quantized_figures
from loomlab.compression.targets import linear_layers
from loomlab.model.eight_bits import linear, straight_through


class Ternary(Compression):
    """Round weights to -1, 0 or 1 times their mean size, inputs to 8 bits, in every pass.

    BitNet b1.58: Ma et al. 2024, arXiv 2402.17764, section 2, with the straight-through gradient
    and the scale per token of Wang et al. 2023, arXiv 2310.11453. No norm is put before the
    layers: those of the model are. Four weights lie in a byte; integers are multiplied as such.
    """

    stage = 80
    cut_up = True  # a layer has its whole weight while it answers; not so in tensor parallelism
    conflicts = (
        "lora", "dora", "pissa", "vera", "ia3", "oft", "adapters", "prefix_tuning", "qlora",
        "prune_magnitude", "prune_wanda", "prune_sparsegpt", "prune_gradual", "low_rank",
        "quantize_int8", "quantize_int4", "quantize_nf4", "gptq", "qat",
    )  # fmt: skip
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is rounded are the weights of linear layers",
        "conflicts": "weights of three values leave nothing to adapt, prune or round",
    }

    def __init__(
        self,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`targets` are names of layers (or globs); empty means all of the trunk."""
        self.targets = list(targets)

    def transform(self, model: nn.Module) -> nn.Module:
        """Let the layers answer with rounded weights and inputs.

        Raises:
            InputError: a target that does not fit the model.
        """
        for layer in linear_layers(model, self.targets, "ternary").values():
            layer.__class__ = BitLinear
        return model

    @torch.no_grad()
    def finalize(self, model: nn.Module) -> nn.Module:
        """Replace the layers by those of the integers."""
        made = {}
        for name, layer in linear_layers(model, self.targets, "ternary").items():
            coded = thirds(layer.weight)
            made[name] = quantize_layer(model, name, layer, coded, 2, activations=8)
        self._figures = quantized_figures(made)
        return model

    def report(self) -> dict[str, float]:
        """Figures of the layers that were replaced."""
        return dict(self._figures)


class BitLinear(nn.Linear):
    """A linear layer that answers as its ternary self; the weight itself is what is trained.

    It has the names of any linear layer, so optimizers, checkpoints and `freeze` see no other.
    """

    def forward(self, input: Tensor) -> Tensor:
        """What the layer will answer once it is saved."""
        whole, size = thirds(self.weight)
        return linear(input, straight_through(self.weight / size, whole), size, self.bias)


def thirds(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """The integers -1, 0 or 1 nearest to a weight over its mean size, and that size (1, 1)."""
    size = weight_OI.detach().float().abs().mean().clamp(min=1e-5).view(1, 1)
    return (weight_OI.detach().float() / size).round().clamp(-1, 1).to(torch.int8), size
