"""LayerDrop: whole layers are left out at random while training."""

# Shapes: B rows, T positions, D width.

from __future__ import annotations

from types import MethodType
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from loomlab.errors import InputError
from loomlab.optimizer.layers import numbered_layers
from loomlab.regularization.base import Regularization


class LayerDrop(Regularization):
    """Skip each layer with a probability, anew for every batch (Fan et al. 2019, section 3.2).

    Such a model can lose layers later on (arXiv 1909.11556); evaluation has all of them. A skipped
    layer's weights get gradients of zero, so that every process of a parallel run has them all.
    """

    staged = False  # a stage of a pipeline is not enough
    requires = {"model.trained_by": ("gradient",)}
    because = {"model.trained_by": "counts have no layers"}

    def __init__(self, rate: Annotated[float, "(0, 1)"] = 0.1) -> None:
        self.rate = rate

    def transform(self, model: nn.Module) -> nn.Module:
        """Let the layers draw whether they are there; names of weights stay as they are.

        Raises:
            InputError: the model has no numbered layers.
        """
        layers = numbered_layers(model)
        if not layers:
            raise InputError(
                f"regularization.layer_drop: {type(model).__name__} has no numbered layers that "
                "could be left out; leave out regularization=[layer_drop]"
            )
        for layer in layers:
            layer.drop_rate = self.rate  # type: ignore[assignment]
            layer.returns = None  # type: ignore[assignment]
            # A method bound to the layer, not a closure: a copy of the model drops its own layers.
            layer.forward = MethodType(_perhaps_forward, layer)
        return model


def _perhaps_forward(layer: Any, *inputs: Any, **named: Any) -> Any:
    """The layer's own forward, or its input (B, T, D) unchanged.

    What a layer returns is learned from its first call, which is one in evaluation mode.
    """
    x_BTD: Tensor = inputs[0] if inputs else named["hidden_states"]
    # The draw is from torch's generator, whose state a checkpoint holds.
    if layer.training and layer.returns and torch.rand(()).item() < layer.drop_rate:
        kept_BTD = _with_zero_gradients(x_BTD, layer)
        return kept_BTD if layer.returns == 1 else (kept_BTD, *[None] * (layer.returns - 2))
    output = type(layer).forward(layer, *inputs, **named)
    if layer.returns is None:
        layer.returns = _form(output, x_BTD, layer)
    return output


def _form(output: Any, x_BTD: Tensor, layer: nn.Module) -> int:
    """1 for a tensor, n + 1 for a tuple of n: the hidden states and nothing else.

    Raises:
        InputError: the layer changes the shape, or hands on more than hidden states.
    """
    first, *rest = output if isinstance(output, tuple) else (output,)
    if first.shape != x_BTD.shape or any(part is not None for part in rest):
        raise InputError(
            f"regularization.layer_drop: {type(layer).__name__} hands on more than hidden states, "
            "so it cannot be left out; leave out regularization=[layer_drop]"
        )
    return 1 + len(output) if isinstance(output, tuple) else 1


def _with_zero_gradients(x_BTD: Tensor, layer: nn.Module) -> Tensor:
    """The same values, with the layer's weights in the graph."""
    if not torch.is_grad_enabled():
        return x_BTD
    firsts = [p.flatten()[0] for p in layer.parameters() if p.requires_grad]
    return x_BTD + 0.0 * torch.stack(firsts).sum() if firsts else x_BTD
