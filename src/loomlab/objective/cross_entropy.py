"""Cross entropy whose gradient is written down rather than derived.

The gradient with respect to the logits is (softmax - one hot) / rows. Derived step by step, it is
a zeroed tensor of the size of the logits, a scatter into it and a second pass over the
exponentials; written down, it is one exponential of the log-probabilities in place.
"""

# Shapes: M rows, V classes.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def cross_entropy(logits_MV: Tensor, targets_M: Tensor) -> Tensor:
    """Mean of -log softmax(logits)[target] in nats, computed in 32-bit floats.

    Args:
        logits_MV: of any float type.
        targets_M: classes (int64); all rows count.
    """
    if not (torch.is_grad_enabled() and logits_MV.requires_grad):
        return torch.nn.functional.cross_entropy(logits_MV.float(), targets_M)
    loss: Tensor = _CrossEntropy.apply(logits_MV, targets_M)
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_MV: Tensor, targets_M: Tensor) -> Tensor:
        log_p_MV = torch.log_softmax(logits_MV, -1, dtype=torch.float32)
        ctx.save_for_backward(log_p_MV, targets_M)
        ctx.dtype = logits_MV.dtype
        return -log_p_MV.gather(1, targets_M[:, None]).mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        log_p_MV, targets_M = ctx.saved_tensors
        gradient_MV = log_p_MV.exp_()  # nobody else reads it; a second backward is refused
        rows_M1 = targets_M[:, None]
        gradient_MV.scatter_add_(1, rows_M1, torch.full_like(rows_M1, -1.0, dtype=torch.float32))
        gradient_MV *= outer[0] / len(targets_M)
        return gradient_MV.to(ctx.dtype), None
