"""Prune and let the weights that stay make up for it.

Shapes: O outputs, I inputs, B inputs of a block of columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn

from loomlab.compression.calibration import inverse_hessian_factor
from loomlab.compression.masks import drop_smallest, keep_n_of_m
from loomlab.compression.post_training import Pruner

Mask = Callable[[Tensor], Tensor]


class PruneSparseGPT(Pruner):
    """Prune column after column; each time the columns to the right absorb the error.

    Frantar & Alistarh 2023, arXiv 2301.00774, algorithm 1.
    """

    stage = 60
    option = "prune_sparsegpt"
    conflicts = ("prune_magnitude", "prune_wanda", "prune_gradual")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "what is acted on are the weights of linear layers",
        "conflicts": "each says for itself which weights are zero",
    }

    def __init__(
        self,
        sparsity: Annotated[float, "(0, 1)"] = 0.5,
        pattern: str | None = None,
        block: Annotated[int, "[1, inf)"] = 128,
        damping: Annotated[float, "(0, inf)"] = 0.01,
        rows: Annotated[int, "[1, inf)"] | None = None,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`block` columns share one choice of mask, the M of a pattern always do.

        `damping` is that of the Hessian. `pattern` such as "2:4" keeps 2 of every 4 inputs
        instead of `sparsity`. `rows` of training text are read (as many as there are, up to 128,
        if not given). `targets` are names of layers (or globs); empty means all of the trunk.
        """
        super().__init__(targets, rows, sparsity, pattern)
        self.block, self.damping = block, damping

    def sparse(self, layer: nn.Linear, gram: Tensor) -> Tensor:
        """The weight, sparse, with what stays moved so that outputs change least."""
        factor, dead = inverse_hessian_factor(gram, self.damping)
        weight = layer.weight.detach().clone()
        weight[:, dead] = 0
        inputs, width = weight.shape[1], self.shape[1] if self.shape else self.block
        for start in range(0, inputs, width):
            _prune_block(weight, factor, start, min(start + width, inputs), self._mask)
        return weight

    def _mask(self, scores: Tensor) -> Tensor:
        if self.shape:
            return keep_n_of_m(scores, *self.shape)
        return drop_smallest(scores, self.sparsity)


def _prune_block(weight_OI: Tensor, factor_II: Tensor, start: int, end: int, choose: Mask) -> None:
    """Prune columns from `start` to `end` and update those to the right, in place."""
    part_OB, factor_BB = weight_OI[:, start:end], factor_II[start:end, start:end]
    kept_OB = choose((part_OB / factor_BB.diagonal()) ** 2)
    errors_OB = torch.zeros_like(part_OB)
    for column in range(end - start):
        new_O = part_OB[:, column] * kept_OB[:, column]
        error_O = (part_OB[:, column] - new_O) / factor_BB[column, column]
        part_OB[:, column:] -= torch.outer(error_O, factor_BB[column, column:])
        part_OB[:, column] = new_O  # zero to the bit where it is pruned
        errors_OB[:, column] = error_O
    weight_OI[:, end:] -= errors_OB @ factor_II[start:end, end:]
