"""Muon for the hidden matrices and AdamW for everything else, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer.groups import (
    can_fuse,
    check_betas,
    decay_groups,
    embedding_weights,
    trainable,
)


class Muon(torch.optim.Optimizer):
    """Orthogonalized momentum for hidden matrices, AdamW for the rest.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
    torch.optim.Muon takes 2-D parameters only, and a trainer drives one optimizer best, so this
    one holds both: `param_groups` and `state` are shared with the two inside, hence a learning
    rate schedule, gradient clipping and checkpoints see a single optimizer. The first group are
    the matrices (base rate `lr`), the others follow `adamw_lr`.

    Raises:
        InputError: betas out of range, or no hidden matrix to train.
    """

    requires = {"compression.matrices": (True,)}
    because = {"compression.matrices": "it leaves no matrix of a linear layer to train"}
    tensor_parallel = False  # a part of a matrix is orthogonal by itself, not in the whole

    def __init__(
        self,
        lr: Annotated[float, "(0, inf)"] = 0.02,
        momentum: Annotated[float, "[0, 1)"] = 0.95,
        nesterov: bool = True,
        ns_steps: Annotated[int, "[1, 20]"] = 5,
        adjust_lr: Literal["original", "match_rms_adamw"] = "original",
        adamw_lr: Annotated[float, "(0, inf)"] = 1e-3,
        betas: list[float] = [0.9, 0.95],  # noqa: B006 - read as a literal, never changed
        eps: Annotated[float, "(0, inf)"] = 1e-8,
        weight_decay: Annotated[float, "[0, inf)"] = 0.1,
        *,
        model: nn.Module,
    ) -> None:
        pair = check_betas(betas, "optimizer.betas")
        matrices = hidden_matrices(model)
        muon = torch.optim.Muon(
            matrices,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr,
        )
        self.parts: list[torch.optim.Optimizer] = [muon]
        rest = decay_groups(model, weight_decay, without=matrices)
        if rest:
            fused = can_fuse(trainable(model))
            adamw = torch.optim.AdamW(rest, lr=adamw_lr, betas=pair, eps=eps, fused=fused)
            self.parts.append(adamw)
        groups = [group for part in self.parts for group in part.param_groups]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})
        self._share()

    def _share(self) -> None:
        """Give the optimizers inside the groups and the state this one holds.

        Loading a checkpoint replaces both, so it is done again before every step.
        """
        first = 0
        for part in self.parts:
            last = first + len(part.param_groups)
            part.param_groups = self.param_groups[first:last]
            part.state = self.state
            first = last

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step of both; a closure is evaluated once, before them."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._share()
        for part in self.parts:
            part.step()
        return loss


def hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """Trainable nn.Linear weights that are neither an embedding nor (part of) the output head.

    The head is what `get_output_embeddings()` of any module inside returns, as in Transformers.

    Raises:
        InputError: there is none.
    """
    taken = {id(p) for p in embedding_weights(model)}
    for module in model.modules():
        find_head = getattr(module, "get_output_embeddings", None)
        head = find_head() if callable(find_head) else None
        if isinstance(head, nn.Module):
            taken |= {id(p) for p in head.parameters()}
    linear = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)} - taken
    found = [p for p in trainable(model) if id(p) in linear and p.ndim == 2]
    if not found:
        raise InputError(
            f"optimizer: muon works on hidden nn.Linear matrices and {type(model).__name__} has "
            "none that is trainable; use optimizer=adamw"
        )
    return found
