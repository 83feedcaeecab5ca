"""Lion: steps of equal size in every coordinate, along the sign of the momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import nn

from loomlab.optimizer.groups import check_betas, decay_groups


class Lion(torch.optim.Optimizer):
    """Sign of an interpolated momentum; half the state of Adam.

    Source: Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2. As
    every coordinate moves by `lr`, the rate is 3 to 10 times smaller and the decay as much
    larger than AdamW's (section 4.1 there). Norms, biases and embeddings do not decay
    (`decay_groups`).

    Raises:
        InputError: betas out of range, or a model without trainable parameters.
    """

    def __init__(
        self,
        lr: Annotated[float, "(0, inf)"] = 2e-4,
        betas: list[float] = [0.9, 0.99],  # noqa: B006 - read as a literal, never changed
        weight_decay: Annotated[float, "[0, inf)"] = 0.5,
        *,
        model: nn.Module,
    ) -> None:
        pair = check_betas(betas, "optimizer.betas")
        defaults = {"lr": lr, "betas": pair, "weight_decay": weight_decay}
        super().__init__(decay_groups(model, weight_decay), defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every weight that has a gradient; a closure is evaluated once, before that."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            gradients = [p.grad for p in weights]
            for weight in weights:
                if "momentum" not in self.state[weight]:
                    self.state[weight]["momentum"] = torch.zeros_like(weight)
            momenta = [self.state[weight]["momentum"] for weight in weights]
            beta1, beta2 = group["betas"]
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            updates = torch._foreach_lerp(momenta, gradients, 1 - beta1)
            torch._foreach_sign_(updates)
            torch._foreach_add_(weights, updates, alpha=-group["lr"])
            torch._foreach_lerp_(momenta, gradients, 1 - beta2)
        return loss
