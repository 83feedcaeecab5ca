"""Prune the smallest weights before training, and train the rest."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pytorch_lightning import Callback
from torch import Tensor, nn

from loomlab.compression.base import Compression
from loomlab.compression.masks import (
    KeepMasks,
    drop_smallest,
    keep_n_of_m,
    n_of_m,
    sparsity_of,
)
from loomlab.compression.targets import linear_layers


class PruneMagnitude(Compression):
    """Zero the weights of smallest magnitude and hold them at zero while the rest is trained.

    Of pretrained weights (`init=`) this is Han et al. 2015, arXiv 1506.02626; without training
    (`loom compress`) it is the usual one-shot baseline.
    """

    stage = 30
    tensor_parallel = True
    cut_up = True
    changes_outputs = True
    conflicts = ("lora", "prune_wanda", "prune_sparsegpt", "prune_gradual")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is pruned are the weights of linear layers",
        "lora": "adapters, once merged, fill the zeros",
        "conflicts": "each says for itself which weights are zero",
    }

    def __init__(
        self,
        sparsity: Annotated[float, "(0, 1)"] = 0.5,
        scope: Literal["global", "layer"] = "global",
        pattern: str | None = None,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`scope`: compare all layers' weights with each other, or those of each by themselves.

        `pattern` such as "2:4" keeps 2 of every 4 inputs instead; `sparsity` and `scope` then say
        nothing. `targets` are names of layers (or globs); empty means all of the trunk.
        """
        self.sparsity, self.scope, self.pattern = sparsity, scope, pattern
        self.targets = list(targets)

    def transform(self, model: nn.Module) -> nn.Module:
        """Decide on the masks, and zero what they leave out.

        Raises:
            InputError: a target or a pattern that does not fit the model.
        """
        layers = linear_layers(model, self.targets, "prune_magnitude")
        shape = n_of_m(self.pattern, layers, "prune_magnitude")
        scores = {name: layer.weight.detach().abs() for name, layer in layers.items()}
        if shape:
            masks = {name: keep_n_of_m(score, *shape) for name, score in scores.items()}
        elif self.scope == "layer":
            masks = {name: drop_smallest(score, self.sparsity) for name, score in scores.items()}
        else:
            masks = drop_globally(scores, self.sparsity)
        self._keeper = KeepMasks(masks)
        self._keeper.apply(model)
        return model

    def callbacks(self) -> list[Callback]:
        """The one that holds the masks."""
        return [self._keeper]

    def finalize(self, model: nn.Module) -> nn.Module:
        """The masks once more, as an average of weights may be what is left of training."""
        self._keeper.apply(model)
        self._figures = sparsity_of(linear_layers(model, self.targets, "prune_magnitude"))
        return model

    def report(self) -> dict[str, float]:
        """Layers, their weights, and the share of these that is zero."""
        return dict(self._figures)


def drop_globally(scores: dict[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    """Masks by scores that are compared across layers."""
    flat = drop_smallest(torch.cat([s.flatten() for s in scores.values()]), sparsity)
    parts = flat.split([s.numel() for s in scores.values()])
    return {
        name: part.view(score.shape)
        for (name, score), part in zip(scores.items(), parts, strict=True)
    }
