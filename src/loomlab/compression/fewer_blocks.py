"""Which blocks of a model change its hidden states least, and the model without them.

Shapes: B batch, T tokens, N tokens that are no padding, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlab.compression.block_walk import Batch
from loomlab.compression.targets import place_of
from loomlab.errors import InputError
from loomlab.measure.modes import evaluating, uncached
from loomlab.model.reshaped import MARKER

NUMBERS = ("layer", "layer_idx")  # where an attention knows its block by number, for the cache


def only_stack(model: Any, names: list[str], key: str) -> str:
    """The list of blocks that layers are in, by name.

    Raises:
        InputError: there are several or none, blocks of different kinds, or a config that does
            not count them.
    """
    stems = sorted({place_of(name)[0] for name in names} - {""})
    if len(stems) != 1:
        found = " and ".join(stems) or "none"
        raise InputError(f"{key}: blocks can go from one list of them, this model has {found}")
    blocks = list(model.get_submodule(stems[0]).children())
    kinds = {tuple(n for n, _ in block.named_parameters()) for block in blocks}
    if len(kinds) > 1 or getattr(model.config, "num_hidden_layers", None) != len(blocks):
        raise InputError(
            f"{key}: the blocks of {type(model).__name__} are not alike, or its config does not "
            f"count them, so it could not be built with fewer; set {key}=0"
        )
    return stems[0]


def least(similarity: Callable[[int, int], float], blocks: int, count: int, by: str) -> list[int]:
    """Numbers of the `count` blocks to drop, given how alike the states before blocks are.

    "influence": each by itself, those whose output is most like their input (Men et al. 2024,
    "ShortGPT", arXiv 2403.03853). "angle": a run of them, where what comes out is at the least
    angle to what goes in (Gromov et al. 2024, arXiv 2403.17887).
    """
    if by == "influence":
        order = sorted(range(blocks), key=lambda n: -similarity(n, n + 1))
        return sorted(order[:count])
    begin = max(range(blocks - count + 1), key=lambda n: similarity(n, n + count))
    return list(range(begin, begin + count))


class Likeness:
    """How alike the hidden states before two blocks are, over tokens that are no padding."""

    def __init__(self, model: nn.Module, stem: str, batches: list[Batch]) -> None:
        self.blocks = list(model.get_submodule(stem).children())
        places = len(self.blocks) + 1
        self.cosine = torch.zeros(places, places, dtype=torch.double)
        self.angle = torch.zeros(places, places, dtype=torch.double)  # as a share of a half turn
        with evaluating(model):
            for batch in batches:
                self._add(model, batch)

    @torch.no_grad()
    def _add(self, model: nn.Module, batch: Batch) -> None:
        states: list[Tensor] = []
        mask = batch.get("attention_mask")

        def note(hidden_BTD: Tensor) -> None:
            kept_ND = hidden_BTD.flatten(0, 1) if mask is None else hidden_BTD[mask.bool()]
            states.append(F.normalize(kept_ND.float(), dim=-1))

        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            note(args[0] if args else kwargs["hidden_states"])

        def after(_: nn.Module, __: Any, output: Any) -> None:
            note(output[0] if isinstance(output, tuple | list) else output)

        hooks = [b.register_forward_pre_hook(before, with_kwargs=True) for b in self.blocks]
        hooks.append(self.blocks[-1].register_forward_hook(after))
        try:
            with uncached(model):
                model(**batch)
        finally:
            for hook in hooks:
                hook.remove()
        for n, one in enumerate(states):
            for m in range(n + 1, len(states)):
                cosine_N = (one * states[m]).sum(-1).clamp(-1.0, 1.0)
                self.cosine[n, m] += cosine_N.sum()
                self.angle[n, m] += cosine_N.arccos().sum() / torch.pi

    def drop(self, count: int, by: str) -> list[int]:
        """Numbers of the blocks to drop."""
        alike = self.cosine if by == "influence" else -self.angle
        return least(lambda n, m: float(alike[n, m]), len(self.blocks), count, by)


def without(model: Any, stem: str, gone: list[int]) -> None:
    """Take blocks out of a model; those behind move up, also in what its config says of them."""
    blocks = list(model.get_submodule(stem).children())
    kept = [n for n in range(len(blocks)) if n not in gone]
    model.set_submodule(stem, nn.ModuleList(blocks[n] for n in kept))
    for now, n in enumerate(kept):
        for module in blocks[n].modules():
            for name in NUMBERS:
                if type(getattr(module, name, None)) is int:
                    setattr(module, name, now)
    config = model.config
    lists = {
        name: value
        for name, value in vars(config).items()
        if "layer" in name and isinstance(value, list) and len(value) == len(blocks)
    }
    config.num_hidden_layers = len(kept)
    for name, value in lists.items():
        setattr(config, name, [value[n] for n in kept])
    noted = getattr(config, MARKER, None)
    if noted:
        setattr(config, MARKER, _renamed(noted, stem, kept))


def _renamed(noted: dict[str, Any], stem: str, kept: list[int]) -> dict[str, Any]:
    made = {}
    for name, record in noted.items():
        inside, number = place_of(name)
        if inside != stem:
            made[name] = record
        elif number in kept:
            rest = name[len(f"{stem}.{number}") :]
            made[f"{stem}.{kept.index(number)}{rest}"] = record
    return made
