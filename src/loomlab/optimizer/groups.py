"""Which parameters an optimizer trains, and which of them decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from loomlab.errors import InputError


def decay_groups(
    model: nn.Module, weight_decay: float, without: Iterable[nn.Parameter] = ()
) -> list[dict[str, Any]]:
    """Split the trainable parameters into those that decay and those that do not.

    Decay is for matrices; norms and biases (fewer than two dimensions) and embeddings, also
    when one is tied to the output head, are left alone. A parameter used twice appears once.

    Args:
        model: every parameter of it that requires a gradient is taken.
        weight_decay: of the decaying group; the other gets 0.
        without: parameters somebody else takes care of.

    Returns:
        Parameter groups for a torch optimizer, without the empty ones.

    Raises:
        InputError: the model has nothing to train.
    """
    embeddings = {id(p) for p in embedding_weights(model)}
    skipped = {id(p) for p in without}
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for parameter in trainable(model):
        if id(parameter) not in skipped:
            plain = parameter.ndim < 2 or id(parameter) in embeddings
            (kept if plain else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that require a gradient, tied ones once.

    Raises:
        InputError: there is none.
    """
    found = [p for p in model.parameters() if p.requires_grad]
    if not found:
        raise InputError(
            f"model: {type(model).__name__} has no trainable parameter, so an optimizer has "
            "nothing to do; choose a model that is trained by gradients or unfreeze a layer"
        )
    return found


def embedding_weights(model: nn.Module) -> list[torch.Tensor]:
    """The tables of all nn.Embedding layers, including those a head shares."""
    return [m.weight for m in model.modules() if isinstance(m, nn.Embedding)]


def check_betas(betas: Iterable[float], key: str) -> tuple[float, float]:
    """AdamW's two decay rates as a pair of floats.

    Raises:
        InputError: not two numbers in [0, 1).
    """
    values = [float(b) for b in betas]
    if len(values) != 2 or not all(0.0 <= b < 1.0 for b in values):
        raise InputError(
            f"{key}: {values} must be two numbers of at least 0 and below 1, e.g. [0.9, 0.95]"
        )
    return values[0], values[1]


def can_fuse(parameters: Iterable[torch.Tensor]) -> bool:
    """Whether torch has a fused kernel (one pass over memory) for all these tensors."""
    return all(p.device.type in {"cpu", "cuda", "mps", "xpu"} for p in parameters)
