"""The loss of a large head without its logits: a few rows at a time, gradients included.

The logits of a language model (rows x vocabulary) are by far its largest tensor. Here each chunk
of rows is turned into logits, into its share of the loss and into gradients at once, and its
logits are dropped before the next chunk is begun: memory no longer grows with rows x vocabulary,
and a chunk stays in the processor's cache. (Hsu et al. 2024, "Liger Kernel", arXiv 2410.10989,
section 3.2, do the same for one fixed loss; here the loss is any mean over rows.)
"""

# Shapes: M rows, D width, V vocabulary.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Judge = Callable[[Tensor, Tensor], Tensor]  # logits (m, V), targets (m, ...) -> mean loss


def chunked_loss(
    rows_MD: Tensor, targets_M: Tensor, head: nn.Module, judge: Judge, chunk: int
) -> Tensor:
    """The mean of `judge` over all rows, as if all logits were computed at once.

    Args:
        rows_MD: hidden states, what `head` turns into logits.
        targets_M: a target per row.
        judge: a mean over rows; it is called once per chunk.
        chunk: rows computed at a time.
    """
    if not torch.is_grad_enabled():
        return _without_gradients(rows_MD, targets_M, head, judge, chunk)
    parameters = [p for p in head.parameters() if p.requires_grad]
    loss: Tensor = _Chunked.apply(rows_MD, targets_M, head, judge, chunk, *parameters)
    return loss


def _without_gradients(
    rows_MD: Tensor, targets_M: Tensor, head: nn.Module, judge: Judge, chunk: int
) -> Tensor:
    total = torch.zeros((), device=rows_MD.device)
    for rows_mD, targets_m in zip(rows_MD.split(chunk), targets_M.split(chunk), strict=True):
        total += judge(head(rows_mD), targets_m) * (len(rows_mD) / len(rows_MD))
    return total


class _Chunked(torch.autograd.Function):
    """Computes the gradients in the forward pass, since it would need the logits again later."""

    @staticmethod
    def forward(
        ctx: Any,
        rows_MD: Tensor,
        targets_M: Tensor,
        head: nn.Module,
        judge: Judge,
        chunk: int,
        *parameters: Tensor,
    ) -> Tensor:
        total = torch.zeros((), device=rows_MD.device)
        into_rows_MD = torch.empty_like(rows_MD) if rows_MD.requires_grad else None
        into_head = [torch.zeros_like(p) for p in parameters]
        for start in range(0, len(rows_MD), chunk):
            part = slice(start, start + chunk)
            rows_mD = rows_MD[part].detach().requires_grad_(into_rows_MD is not None)
            wanted = [*([rows_mD] if into_rows_MD is not None else []), *parameters]
            with torch.enable_grad():
                loss = judge(head(rows_mD), targets_M[part]) * (len(rows_mD) / len(rows_MD))
            gradients = list(torch.autograd.grad(loss, wanted))
            if into_rows_MD is not None:
                into_rows_MD[part] = gradients.pop(0)
            for sum_, gradient in zip(into_head, gradients, strict=True):
                sum_ += gradient
            total += loss.detach()
        ctx.save_for_backward(into_rows_MD, *into_head)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        into_rows_MD, *into_head = ctx.saved_tensors
        scaled = [None if g is None else g.mul_(outer[0]) for g in (into_rows_MD, *into_head)]
        return scaled[0], None, None, None, None, *scaled[1:]
