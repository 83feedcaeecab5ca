"""Layers of a model by the names of its weights: their depth, their rates, and those that rest."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from loomlab.errors import InputError, did_you_mean

NUMBERED = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")
EMBEDDINGS, TRUNK = "embeddings", "trunk"


def decay_by_layer(optimizer: torch.optim.Optimizer, model: nn.Module, decay: float) -> None:
    """Give each layer `decay` times the rate of the layer above it.

    The head, and what else of the trunk follows the layers, keeps its rate; the last layer gets
    `decay` times it, and so on down to the embeddings (Clark et al. 2020, "ELECTRA", appendix B).
    An embedding that the head shares counts as an embedding. Groups are split; an optimizer made
    of several (`parts`) has those of each split. Call it before a schedule is laid over the rates.

    Raises:
        InputError: the model has no numbered layers.
    """
    depth = layer_depths(model)
    top = max(depth.values())
    parts = getattr(optimizer, "parts", None) or [optimizer]
    for part in parts:
        part.param_groups[:] = [
            piece for group in part.param_groups for piece in _split(group, depth, top, decay)
        ]
    if parts != [optimizer]:
        optimizer.param_groups[:] = [group for part in parts for group in part.param_groups]


def _split(
    group: dict[str, Any], depth: dict[int, int], top: int, decay: float
) -> list[dict[str, Any]]:
    """One group per layer, the topmost first."""
    by_depth: dict[int, list[nn.Parameter]] = {}
    for parameter in group["params"]:
        by_depth.setdefault(depth[id(parameter)], []).append(parameter)
    return [
        {**group, "params": by_depth[level], "lr": group["lr"] * decay ** (top - level)}
        for level in sorted(by_depth, reverse=True)
    ]


def layer_depths(model: nn.Module) -> dict[int, int]:
    """Depth of every parameter, by id: 0 for embeddings, i + 1 for layer i, the rest on top.

    Raises:
        InputError: no weight's name has the number of a layer in it.
    """
    below = {id(p) for _, p in _embeddings(model)}
    number = {
        id(p): int(match[1]) + 1
        for n, p in model.named_parameters()
        if (match := NUMBERED.search(n))
    }
    if not number:
        raise InputError(
            f"layer_decay: {type(model).__name__} has no numbered layers, so there is nothing to "
            "decay over; set layer_decay=1"
        )
    top = max(number.values()) + 1
    return {id(p): number.get(id(p), 0 if id(p) in below else top) for p in model.parameters()}


def _embeddings(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """What turns token ids into the first hidden states: tables, and what is named after them."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return [
        (name, p)
        for name, p in model.named_parameters()
        if not NUMBERED.search(name)
        and (id(p) in tables or "embed" in name or ".position." in f".{name}")
    ]


def freeze(model: nn.Module, patterns: list[str]) -> list[str]:
    """Take the gradient from all weights that a pattern names; their names.

    A pattern is a weight's name, the beginning of one (up to a dot) or a glob, with or without
    the name of the trunk in front; `embeddings` are the tables and what belongs to them, `trunk`
    is all but the head.

    Raises:
        InputError: a pattern that names no weight, saying what could be meant.
    """
    frozen: dict[str, nn.Parameter] = {}
    for pattern in patterns:
        found = _named(model, pattern)
        if not found:
            hint = did_you_mean(pattern, _places(model), "places")
            raise InputError(f"freeze: '{pattern}' is the name of no weights; {hint}")
        frozen |= found
    for parameter in frozen.values():
        parameter.requires_grad_(False)
    return list(frozen)


def _named(model: nn.Module, pattern: str) -> dict[str, nn.Parameter]:
    prefix = trunk_prefix(model)
    if pattern == EMBEDDINGS:
        return dict(_embeddings(model))
    if pattern == TRUNK:
        return {n: p for n, p in model.named_parameters() if n.startswith(prefix)}
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if any(
            fnmatchcase(word, form)
            for word in (name, name.removeprefix(prefix))
            for form in (pattern, f"{pattern}.*")
        )
    }


def trunk_prefix(model: nn.Module) -> str:
    """What the names of the trunk's weights begin with; empty for a model that is all trunk."""
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    within = prefix != "." and any(n.startswith(prefix) for n, _ in model.named_parameters())
    return prefix if within else ""


def _places(model: nn.Module) -> list[str]:
    """What can be frozen as a whole: children of the trunk and of the model, single layers."""
    prefix = trunk_prefix(model)
    found = {EMBEDDINGS, TRUNK}
    for name, _ in model.named_parameters():
        parts = name.removeprefix(prefix).split(".")
        found.add(parts[0])
        if match := NUMBERED.search(name):
            found.add(name[: match.end() - 1].removeprefix(prefix))
    return sorted(found)


def numbered_layers(model: nn.Module) -> list[nn.Module]:
    """The layers of a model in order; numbered parts of a layer are not among them."""
    found = []
    for name, module in model.named_modules():
        match = NUMBERED.search(f"{name}.")
        if match and match.end() == len(name) + 1:
            found.append(module)
    return found
