"""AdamW on the parameters that should decay and those that should not."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import nn

from loomlab.optimizer.groups import can_fuse, check_betas, decay_groups, trainable


class AdamW(torch.optim.AdamW):
    """Adam with decoupled weight decay, fused where torch can.

    Source: Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
    Norms, biases and embeddings do not decay (`decay_groups`).

    Raises:
        InputError: betas out of range, or a model without trainable parameters.
    """

    def __init__(
        self,
        lr: Annotated[float, "(0, inf)"] = 1e-3,
        betas: list[float] = [0.9, 0.95],  # noqa: B006 - read as a literal, never changed
        eps: Annotated[float, "(0, inf)"] = 1e-8,
        weight_decay: Annotated[float, "[0, inf)"] = 0.1,
        *,
        model: nn.Module,
    ) -> None:
        super().__init__(
            decay_groups(model, weight_decay),
            lr=lr,
            betas=check_betas(betas, "optimizer.betas"),
            eps=eps,
            weight_decay=weight_decay,
            fused=can_fuse(trainable(model)),
        )
        # A fused Adam offers to unscale gradients itself, upon which Lightning refuses to clip
        # them in every mixed precision, bf16 included. Without the offer the scaler does it.
        self._step_supports_amp_scaling = False
