"""Prune by weight times activation."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from loomlab.compression.masks import drop_smallest_of_rows, keep_n_of_m
from loomlab.compression.post_training import Pruner


class PruneWanda(Pruner):
    """Zero the weights that matter least, by |weight| x norm of its input, in every row.

    Sun et al. 2023, arXiv 2306.11695. The rest of the weights stay as they are.
    """

    stage = 60
    option = "prune_wanda"
    conflicts = ("prune_magnitude", "prune_sparsegpt", "prune_gradual")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is acted on are the weights of linear layers",
        "conflicts": "each says for itself which weights are zero",
    }

    def __init__(
        self,
        sparsity: Annotated[float, "(0, 1)"] = 0.5,
        pattern: str | None = None,
        rows: Annotated[int, "[1, inf)"] | None = None,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`pattern` such as "2:4" keeps 2 of every 4 inputs instead of `sparsity`.

        `rows` of training text are read (as many as there are, up to 128, if not given).
        `targets` are names of layers (or globs); empty means all of the trunk.
        """
        super().__init__(targets, rows, sparsity, pattern)

    def sparse(self, layer: nn.Linear, gram: Tensor) -> Tensor:
        """The weight without the smallest of |W_ij| * ||x_j||."""
        scores = layer.weight.abs() * gram.diagonal().sqrt()
        if self.shape:
            return layer.weight * keep_n_of_m(scores, *self.shape)
        return layer.weight * drop_smallest_of_rows(scores, self.sparsity)
