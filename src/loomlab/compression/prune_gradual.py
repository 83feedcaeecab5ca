"""Prune little by little during training."""

from __future__ import annotations

from typing import Annotated, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from torch import nn

from loomlab.compression.base import Compression
from loomlab.compression.masks import KeepMasks, sparsity_of
from loomlab.compression.prune_magnitude import drop_globally
from loomlab.compression.targets import linear_layers
from loomlab.errors import InputError
from loomlab.measure.whole import whole


class PruneGradual(Compression):
    """Raise sparsity along a cubic curve: fast while many weights are idle, then slower.

    Zhu & Gupta 2017, arXiv 1710.01878, equation 1. The smallest weights of all layers go; the
    model that is finished is the last one, as the best before the end may not be sparse yet.
    """

    stage = 30
    tensor_parallel = True
    cut_up = True
    changes_outputs = True
    ends_last = True
    conflicts = ("lora", "prune_magnitude", "prune_wanda", "prune_sparsegpt")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is pruned are the weights of linear layers",
        "lora": "adapters, once merged, fill the zeros",
        "conflicts": "each says for itself which weights are zero",
    }

    def __init__(
        self,
        sparsity: Annotated[float, "(0, 1)"] = 0.5,
        start: Annotated[float, "[0, 1]"] = 0.1,
        end: Annotated[float, "[0, 1]"] = 0.7,
        every: Annotated[int, "[1, inf)"] = 10,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """From the share `start` of all steps to `end`, new masks `every` so many steps.

        `targets` are names of layers (or globs); empty means all of the trunk.
        """
        if start >= end:
            raise InputError(
                f"compression.prune_gradual.end={end} is not after start={start}: raise end"
            )
        self.sparsity, self.start, self.end, self.every = sparsity, start, end, every
        self.targets = list(targets)

    def transform(self, model: nn.Module) -> nn.Module:
        """Find the layers; nothing is pruned yet."""
        self._keeper = Gradually(self, list(linear_layers(model, self.targets, "prune_gradual")))
        return model

    def at(self, step: int, steps: int) -> float:
        """The sparsity due after `step` of `steps`."""
        return self.sparsity * cubic(step, self.start * steps, self.end * steps)

    def callbacks(self) -> list[Callback]:
        """The one that renews and holds the masks."""
        return [self._keeper]

    def finalize(self, model: nn.Module) -> nn.Module:
        """The masks of the end once more; what is missing to them at once, if training was cut."""
        if self._keeper.level < self.sparsity:
            self._keeper.renew(model, self.sparsity)
        self._keeper.apply(model)
        self._figures = sparsity_of(linear_layers(model, self.targets, "prune_gradual"))
        return model

    def report(self) -> dict[str, float]:
        """Layers, their weights, and the share of these that is zero."""
        return dict(self._figures)


def cubic(step: int, begin: float, end: float) -> float:
    """From 0 at `begin` to 1 at `end`, which is no sooner than the first step."""
    done = min(max((step - begin) / (max(end, 1.0) - begin), 0.0), 1.0)
    return float(1.0 - (1.0 - done) ** 3)


class Gradually(KeepMasks):
    """Masks that are renewed as training goes on; they are in every checkpoint."""

    def __init__(self, schedule: PruneGradual, names: list[str]) -> None:
        super().__init__({})
        self.schedule, self.names = schedule, names
        self.level = 0.0  # the sparsity of the masks

    @torch.no_grad()
    def renew(self, model: nn.Module, sparsity: float) -> None:
        """New masks by magnitude; what is pruned is zero, so it stays pruned.

        Weights are compared across layers, so where they are cut up each process looks at all of
        them: all must ask, and each finds the same masks.
        """
        weights = {name: model.get_submodule(name).get_parameter("weight") for name in self.names}
        scores = {name: whole(weight).abs() for name, weight in weights.items()}
        self.masks, self.level = drop_globally(scores, sparsity), sparsity

    def on_train_batch_end(self, *hook: Any) -> None:
        """Renew when a step was made whose turn it is, and hold what there is."""
        trainer: pl.Trainer = hook[0]
        step, steps = trainer.global_step, hook[1].context.total_steps
        micro = (trainer.fit_loop.batch_idx + 1) % trainer.accumulate_grad_batches
        due = self.schedule.at(step, steps)
        turn = due == self.schedule.sparsity or step % self.schedule.every == 0
        if micro == 0 and turn and due > self.level:
            self.renew(hook[1].model, due)
        self.apply(hook[1].model)

    def state_dict(self) -> dict[str, Any]:
        """The masks, and how far they are."""
        return {**super().state_dict(), "level": self.level}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the run before stood."""
        super().load_state_dict(state_dict)
        self.level = state_dict["level"]
