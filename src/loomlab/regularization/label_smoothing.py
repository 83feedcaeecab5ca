"""Label smoothing: some of the target probability goes to all classes alike."""

# Shapes: M predicted positions, V classes.

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from loomlab.regularization.base import Loss, Regularization


class LabelSmoothing(Regularization):
    """Mix the target with the uniform distribution (Szegedy et al. 2016, arXiv 1512.00567, 7).

    The loss becomes (1 - amount) * loss + amount * mean over classes of -log p.
    """

    requires = {"model.trained_by": ("gradient",), "objective.distribution": (True,)}
    refuses = {"objective.multi_label": (True,)}
    because = {
        "model.trained_by": "counts have no loss",
        "objective.distribution": "numbers have no distribution to smooth",
        "objective.multi_label": "labels that are no distribution have none to smooth",
    }

    def __init__(self, amount: Annotated[float, "(0, 1)"] = 0.1) -> None:
        self.amount = amount

    def wrap_loss(self, loss: Loss) -> Loss:
        """The smoothed loss."""

        def smoothed(logits_MV: Tensor, targets_M: Tensor) -> Tensor:
            wide_MV = logits_MV.float()
            uniform = (torch.logsumexp(wide_MV, -1) - wide_MV.mean(-1)).mean()
            return (1 - self.amount) * loss(logits_MV, targets_M) + self.amount * uniform

        return smoothed
