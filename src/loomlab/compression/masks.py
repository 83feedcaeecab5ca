"""Which weights are kept: masks by score, and a callback that holds them through training.

Shapes: O outputs, I inputs of a layer.
"""

from __future__ import annotations

import re
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from loomlab.errors import InputError
from loomlab.measure.whole import local, part


def drop_smallest(scores: Tensor, sparsity: float) -> Tensor:
    """True for what is kept: the share `sparsity` with the smallest scores goes, to the unit.

    Of equal scores the first go, so that the count is exact.
    """
    kept = torch.ones(scores.numel(), dtype=torch.bool)
    order = scores.flatten().argsort(stable=True)
    kept[order[: round(sparsity * scores.numel())]] = False
    return kept.view(scores.shape)


def drop_smallest_of_rows(scores_OI: Tensor, sparsity: float) -> Tensor:
    """The same in each row by itself."""
    kept = torch.ones_like(scores_OI, dtype=torch.bool)
    order = scores_OI.argsort(dim=1, stable=True)
    return kept.scatter(1, order[:, : round(sparsity * scores_OI.shape[1])], False)


def keep_n_of_m(scores_OI: Tensor, n: int, m: int) -> Tensor:
    """True for the `n` largest of every `m` inputs in a row."""
    groups = scores_OI.reshape(-1, m)
    return drop_smallest_of_rows(groups, (m - n) / m).view(scores_OI.shape)


def n_of_m(pattern: str | None, layers: dict[str, nn.Linear], option: str) -> (
    tuple[int, int] | None
):  # fmt: skip
    """A pattern such as "2:4" as numbers, checked against the layers.

    Raises:
        InputError: it is no such pattern, or a layer's inputs are no multiple of it.
    """
    if pattern is None:
        return None
    found = re.fullmatch(r"(\d+):(\d+)", pattern)
    if not found or not 0 < int(found[1]) < int(found[2]):
        raise InputError(
            f"compression.{option}.pattern={pattern}: say how many of how many inputs are kept, "
            "such as '2:4'"
        )
    n, m = int(found[1]), int(found[2])
    for name, layer in layers.items():
        if layer.in_features % m:
            raise InputError(
                f"compression.{option}.pattern={pattern}: {name} has {layer.in_features} inputs, "
                f"which {m} does not divide; leave it out by compression.{option}.targets"
            )
    return n, m


class KeepMasks(pl.Callback):
    """Hold pruned weights at zero during training, whatever the optimizer does.

    Their gradients are zeroed before a step, so that no moment or average moves them, and the
    weights after it, as an optimizer may mix the entries of a matrix (Muon). The masks are in
    every checkpoint. They are whole in every process, one byte a weight; what a process lays on
    its part of a weight is its part of the mask.
    """

    runs_last = -1  # before all others: what they see, save and average has the masks on it

    def __init__(self, masks: dict[str, Tensor]) -> None:
        self.masks = masks  # by the names of layers: spreading a run puts others in their place
        self._parts: dict[str, tuple[Tensor, Tensor]] = {}  # a mask, and what is here of it

    def part(self, name: str, weight: Tensor) -> Tensor:
        """The mask of a weight, or the part of it that belongs to this process's part."""
        mask, (known, here) = self.masks[name], self._parts.get(name, (None, weight))
        if known is not mask or here.shape != local(weight).shape:
            here = part(mask, weight)
            self._parts[name] = mask, here
        return here

    @torch.no_grad()
    def apply(self, model: nn.Module) -> None:
        """Set the weights that are not kept to zero."""
        for name in self.masks:
            weight = model.get_submodule(name).get_parameter("weight")
            local(weight).mul_(self.part(name, weight))

    @torch.no_grad()
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        """No gradient for what is pruned."""
        for name in self.masks:
            weight = pl_module.model.get_submodule(name).get_parameter("weight")  # type: ignore
            if weight.grad is not None:
                local(weight.grad).mul_(self.part(name, weight))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The first batch already sees the pruned model, also after a resume."""
        self.apply(pl_module.model)  # type: ignore[arg-type]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Zero again what a step has moved."""
        self.apply(pl_module.model)  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        """The masks."""
        return {"masks": dict(self.masks)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the masks of the run before."""
        self.masks.clear()
        self.masks.update(state_dict["masks"])


def sparsity_of(layers: dict[str, nn.Linear]) -> dict[str, float]:
    """The share of zeros among the weights of layers, and their number."""
    weights = [layer.weight for layer in layers.values()]
    total = sum(w.numel() for w in weights)
    zeros = sum(int((w == 0).sum()) for w in weights)
    return {"layers": float(len(weights)), "weights": float(total), "sparsity": zeros / total}
