"""Our weights in the parameters of a class of Transformers, and settings that all of them take."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from loomlab.model.classifier import SequenceClassifier

ACTIVATIONS = {
    "gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu", "relu2": "relu2", "silu": "silu",
}  # fmt: skip


def is_classifier(model: nn.Module) -> bool:
    """Whether the model says which label a text has."""
    return isinstance(model, SequenceClassifier)


def shared_settings(model: Any) -> dict[str, Any]:
    """What every config of Transformers calls by the same name."""
    config = model.config
    told = ("id2label", "label2id", "problem_type") if is_classifier(model) else ()
    tied = {} if is_classifier(model) else {"tie_word_embeddings": config.tied}
    return {name: getattr(config, name) for name in told} | tied | {
        "vocab_size": config.vocab_size, "pad_token_id": config.pad_token_id,
        "eos_token_id": config.eos_token_id, "bos_token_id": config.bos_token_id,
        "initializer_range": config.initializer_range,
    }  # fmt: skip


@torch.no_grad()
def copy_layers(pairs: list[tuple[nn.Module, nn.Module, bool]]) -> None:
    """Weights and biases of (ours, theirs, whether theirs is transposed).

    A bias that ours lacks is zero in theirs.
    """
    for ours, theirs, transposed in pairs:
        weight: Tensor = ours.get_parameter("weight")
        theirs.get_parameter("weight").copy_(weight.T if transposed else weight)
        copy_bias(getattr(ours, "bias", None), theirs)


@torch.no_grad()
def copy_bias(ours: Tensor | None, theirs: nn.Module) -> None:
    """A bias, or zeros where ours has none."""
    if getattr(theirs, "bias", None) is not None:
        theirs.get_parameter("bias").copy_(torch.zeros(()) if ours is None else ours)


@torch.no_grad()
def hand_out(joined: nn.Module, into: list[nn.Module]) -> None:
    """Give each layer its rows of a joined projection."""
    weights = joined.get_parameter("weight").chunk(len(into))
    bias = getattr(joined, "bias", None)
    biases = [None] * len(into) if bias is None else bias.chunk(len(into))
    for layer, weight, part in zip(into, weights, biases, strict=True):
        layer.get_parameter("weight").copy_(weight)
        copy_bias(part, layer)
