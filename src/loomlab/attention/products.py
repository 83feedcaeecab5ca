"""Full attention of short sequences on a CPU, written down as matrix products.

torch's fused kernel never holds all scores, which is what long sequences need. Where the scores of
a layer are small anyway, plain products are faster on a CPU: forward and backward together took
0.5 (bf16) and 0.7 (fp32) of the kernel's time for 256 tokens, and as long for 1,024.
"""

# Shapes: B batch, H heads, T queries, S keys, K head width.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LONGEST = 512  # beyond, the fused kernel is as fast and keeps no scores


def is_short(q_BHTK: Tensor, k_BHSK: Tensor, mask: Tensor | None, dropout: float) -> bool:
    """Whether `attend` may take the place of the fused kernel, and is the faster of the two."""
    if torch.compiler.is_compiling() or q_BHTK.device.type != "cpu" or dropout:
        return False
    learned = mask is not None and mask.requires_grad
    return not learned and 1 < q_BHTK.shape[-2] <= LONGEST and k_BHSK.shape[-2] <= LONGEST


def attend(q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax of scaled dot products times the values, (B, H, T, K).

    Args:
        mask: what is added to the scores, (B|1, H|1, T, S); no gradient flows to it.
    """
    if torch.is_autocast_enabled("cpu"):  # not all layers before it need give that type
        wanted = torch.get_autocast_dtype("cpu")
        q_BHTK, k_BHSK, v_BHSK = (x.to(wanted) for x in (q_BHTK, k_BHSK, v_BHSK))
    mixed: Tensor = _Attend.apply(q_BHTK, k_BHSK, v_BHSK, mask)
    return mixed


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, mask: Tensor | None
    ) -> Tensor:
        scale = q_BHTK.shape[-1] ** -0.5
        scores_BHTS = (q_BHTK * scale) @ k_BHSK.transpose(-1, -2)
        if mask is not None:
            scores_BHTS += mask
        weights_BHTS = scores_BHTS.softmax(-1)
        ctx.save_for_backward(q_BHTK, k_BHSK, v_BHSK, weights_BHTS)
        return weights_BHTS @ v_BHSK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer_BHTK: Tensor) -> Any:
        q_BHTK, k_BHSK, v_BHSK, weights_BHTS = ctx.saved_tensors
        scale = q_BHTK.shape[-1] ** -0.5
        into_v = weights_BHTS.transpose(-1, -2) @ outer_BHTK
        into_weights = outer_BHTK @ v_BHSK.transpose(-1, -2)
        into_scores = torch.ops.aten._softmax_backward_data(
            into_weights, weights_BHTS, -1, weights_BHTS.dtype
        )
        into_scores *= scale
        return into_scores @ k_BHSK, into_scores.transpose(-1, -2) @ q_BHTK, into_v, None
