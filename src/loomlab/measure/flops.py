"""How much arithmetic training takes, counted on a real forward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import (
    FlopCounterMode,
    flop_registry,
    sdpa_backward_flop_count,
    shape_wrapper,
)

from loomlab.measure.modes import evaluating, uncached

# Gradients with respect to the inputs and to the weights cost one forward pass each.
_FORWARD_AND_BACKWARD = 3


def _attention_flops(
    query: tuple[int, ...], key: tuple[int, ...], value: tuple[int, ...], *_: Any, **__: Any
) -> int:
    """Two products over all pairs of positions, also where a causal kernel skips half."""
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[-2] * (width + value[-1])


# torch has formulas for the attention kernels of GPUs, not for the one on CPU: it counts as 0.
_CPU_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}


def _attention_backward_flops(
    outer: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any
) -> int:
    """Five products, scores being computed again, as torch counts it for GPUs."""
    return int(sdpa_backward_flop_count(outer, query, key, value))


# What each operation costs, by its packet; called with tensors as the operation is.
OF_OPERATIONS: dict[Any, Any] = {
    **flop_registry,
    **{kind: shape_wrapper(count) for kind, count in _CPU_ATTENTION.items()},
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: shape_wrapper(
        _attention_backward_flops
    ),
}


def training_flops_per_token(model: nn.Module, example_batch: dict[str, Any]) -> float:
    """Floating-point operations to train on one token: three times a forward pass.

    A multiply-add counts as two; only matrix products and attention are counted, attention over
    all pairs of positions even when causal, as is the convention (Chowdhery et al. 2022, "PaLM",
    appendix B). Frozen weights are counted like trained ones.

    Args:
        model: called once, without gradients, in eval mode; on one row where rows are independent.
        example_batch: keyword arguments of the model; `input_ids` is (B, T).

    Returns:
        FLOPs per position of `input_ids`, padding included.
    """
    row = _first_row(example_batch)
    counter = FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION)
    with evaluating(model), torch.no_grad(), uncached(model), counter:
        model(**row)
    tokens = row["input_ids"].numel()
    return _FORWARD_AND_BACKWARD * counter.get_total_flops() / tokens


def _first_row(batch: dict[str, Any]) -> dict[str, Any]:
    """The batch cut to one row; whole if it holds flat indices into all of its rows."""
    if "masked_index" in batch:
        return batch
    rows = len(batch["input_ids"])
    return {
        name: value[:1]
        if isinstance(value, torch.Tensor) and value.shape[:1] == (rows,)
        else value
        for name, value in batch.items()
    }
