"""Which layers a technique acts on: nn.Linear by type, and by name where the user gives names."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from loomlab.errors import InputError
from loomlab.model.reshaped import QuantizedLinear
from loomlab.optimizer.layers import NUMBERED, trunk_prefix

ADAPTED = ".base_layer"  # where peft keeps the layer that it puts an adapter beside


def linear_layers(
    model: nn.Module, targets: list[str], option: str, kinds: tuple[type[Any], ...] = (nn.Linear,)
) -> dict[str, nn.Linear]:
    """Linear layers by name; without `targets` all of the trunk, so never the head.

    A target is a name, the end of one (after a dot), or a glob for either. Adapters are not
    looked at: they are gone when a trained model is finished. `kinds` are the classes of layers
    that count.

    Raises:
        InputError: a target that names no linear layer, one whose weight is also an embedding,
            or a model without linear layers.
    """
    every = {
        name.replace(ADAPTED, ""): layer
        for name, layer in model.named_modules()
        if isinstance(layer, kinds) and ".lora_" not in name
    }
    key = f"compression.{option}"
    chosen = _named(every, targets, key) if targets else _trunk(model, every)
    if not chosen and any(isinstance(m, QuantizedLinear) for m in model.modules()):
        raise InputError(
            f"{key}: the layers of this model are quantized already: compress the run it was made "
            "of, with the whole stack in compression=[...]"
        )
    if not chosen and any(isinstance(m, Conv1D) for m in model.modules()):
        raise InputError(
            f"{key}: the layers of {type(model).__name__} are Conv1D, and it acts on nn.Linear: "
            "put the weights into model=gpt (init=FOLDER, or `loom compress FOLDER model=gpt`)"
        )
    if not chosen:
        raise InputError(f"{key}: this model has no linear layers (nn.Linear) to act on")
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    for name, layer in chosen.items():
        if id(getattr(layer, "weight", None)) in tables:
            raise InputError(
                f"{key}.targets: the weight of {name} is also the embedding, which has to stay as "
                "it is; name other layers, or train with model.tied=false"
            )
    return chosen


def _trunk(model: nn.Module, every: dict[str, nn.Linear]) -> dict[str, nn.Linear]:
    prefix = trunk_prefix(model)
    answer = getattr(model, "get_output_embeddings", lambda: None)()
    return {n: m for n, m in every.items() if n.startswith(prefix) and m is not answer}


def _named(every: dict[str, nn.Linear], targets: list[str], key: str) -> dict[str, nn.Linear]:
    chosen: dict[str, nn.Linear] = {}
    for target in targets:
        found = {
            name: layer
            for name, layer in every.items()
            if fnmatchcase(name, target) or fnmatchcase(name, f"*.{target}")
        }
        if not found:
            ends = sorted({name.rpartition(".")[2] for name in every})
            raise InputError(
                f"{key}.targets: '{target}' is the name of no linear layer of this model; it has "
                f"{', '.join(ends)}"
            )
        chosen |= found
    return {name: layer for name, layer in every.items() if name in chosen}


def in_blocks(layers: dict[str, nn.Linear]) -> list[dict[str, nn.Linear]]:
    """The layers, those of one numbered block together, in the order of the model."""
    blocks: dict[str, dict[str, nn.Linear]] = {}
    for name, layer in layers.items():
        match = NUMBERED.search(name)
        blocks.setdefault(name[: match.end()] if match else name, {})[name] = layer
    return list(blocks.values())


def place_of(name: str) -> tuple[str, int]:
    """The list of blocks that a layer is in, by name, and the number of its block there.

    Of a layer outside of blocks, an empty name.
    """
    match = NUMBERED.search(name)
    return (name[: match.start(1) - 1], int(match[1])) if match else ("", 0)
