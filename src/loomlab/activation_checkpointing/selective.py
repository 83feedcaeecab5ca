"""Keep of every block what is dear to compute."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.checkpoint import (
    CheckpointPolicy,
    SelectiveCheckpointContext,
    create_selective_checkpoint_contexts,
)

from loomlab.activation_checkpointing.base import Recomputed

aten = torch.ops.aten
PRODUCTS = {aten.mm.default, aten.addmm.default}  # their last argument is the matrix of weights
ATTENTION = {
    aten._scaled_dot_product_flash_attention_for_cpu.default,
    aten._scaled_dot_product_flash_attention.default,
    aten._scaled_dot_product_efficient_attention.default,
    aten._scaled_dot_product_cudnn_attention.default,
}
WIDEST = 3  # times the width that a kept product may give: queries, keys and values at once


def keep_narrow_products(
    _: SelectiveCheckpointContext, operator: Any, *given: Any, **__: Any
) -> CheckpointPolicy:
    """Keep fused attention and products with weights that neither widen much nor narrow.

    The widest values of a block, inside its MLP, cost no more arithmetic each than others; what
    narrows ends a branch, and is not needed to come to anything else.
    """
    kept = operator in ATTENTION
    if operator in PRODUCTS:
        wide_in, wide_out = given[-1].shape
        kept = wide_in <= wide_out <= WIDEST * wide_in
    return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE


def contexts() -> Any:
    """The two contexts of one checkpoint."""
    return create_selective_checkpoint_contexts(keep_narrow_products)


class Selective(Recomputed):
    """Compute attention scores and inner values of the MLP again: most memory, least arithmetic.

    What the projections of attention give is kept (Korthikanti et al. 2022, arXiv 2205.05198,
    recompute the scores for the same reason).
    """

    settings = {"context_fn": contexts}
