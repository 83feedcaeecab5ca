"""The blocks of a model, whoever wrote it, and which of them a weight belongs to."""

from __future__ import annotations

from collections import Counter

from torch import nn


def named_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """The repeated blocks in order, as layers.0, layers.1, ...

    They are the children of the outermost nn.ModuleList that holds modules of one class only.
    A model with several such stacks (encoder and decoder) has them under their own paths.
    """
    stacks = _stacks(model)
    alone = len(stacks) == 1
    return {
        f"{'layers' if alone else path}.{index}": block
        for path, stack in stacks.items()
        for index, block in enumerate(stack)
    }


def parameter_places(model: nn.Module) -> dict[str, str]:
    """For each parameter's name the block it is in, or else the part of the model."""
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    places: dict[str, str] = {}
    blocks = {id(p): name for name, b in named_blocks(model).items() for p in b.parameters()}
    for name, parameter in model.named_parameters():
        part = name.removeprefix(prefix).split(".")[0]
        places[name] = blocks.get(id(parameter), part)
    return places


def _stacks(model: nn.Module) -> dict[str, nn.ModuleList]:
    found: dict[str, nn.ModuleList] = {}
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if inside or not isinstance(module, nn.ModuleList):
            continue
        one_class = len(Counter(type(child) for child in module)) == 1
        if one_class and any(True for _ in module.parameters()):
            found[path] = module
    return found
