"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer.groups import decay_groups


class SGD(torch.optim.SGD):
    """Stochastic gradient descent with momentum.

    Weight decay is added to the gradient (not decoupled); norms, biases and embeddings do not
    decay (`decay_groups`).

    Raises:
        InputError: nesterov without momentum, or a model without trainable parameters.
    """

    problem_check = "loomlab.optimizer.checks.nesterov_has_momentum"

    def __init__(
        self,
        lr: Annotated[float, "(0, inf)"] = 0.1,
        momentum: Annotated[float, "[0, 1)"] = 0.9,
        nesterov: bool = False,
        weight_decay: Annotated[float, "[0, inf)"] = 0.0,
        *,
        model: nn.Module,
    ) -> None:
        if nesterov and momentum == 0:
            raise InputError(
                "optimizer.nesterov: looks ahead along the momentum, which is 0; set "
                "optimizer.momentum above 0, or optimizer.nesterov=false"
            )
        super().__init__(
            decay_groups(model, weight_decay), lr=lr, momentum=momentum, nesterov=nesterov
        )
