"""The z-loss: a pull of the softmax normalizer towards one."""

# Shapes: M predicted positions, V classes.

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from loomlab.regularization.base import Loss, Regularization


class ZLoss(Regularization):
    """Add weight * (log Z)^2, which keeps logits from drifting (Chowdhery et al. 2022, 5)."""

    requires = {"model.trained_by": ("gradient",), "objective.distribution": (True,)}
    refuses = {"objective.multi_label": (True,)}
    because = {
        "model.trained_by": "counts have no loss",
        "objective.distribution": "numbers have no distribution to normalize",
        "objective.multi_label": "labels that are no distribution have no normalizer",
    }

    def __init__(self, weight: Annotated[float, "(0, inf)"] = 1e-4) -> None:
        self.weight = weight

    def wrap_loss(self, loss: Loss) -> Loss:
        """The loss and the penalty."""

        def penalized(logits_MV: Tensor, targets_M: Tensor) -> Tensor:
            log_z_M = torch.logsumexp(logits_MV.float(), -1)
            return loss(logits_MV, targets_M) + self.weight * log_z_M.square().mean()

        return penalized
