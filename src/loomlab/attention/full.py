"""Full attention.

Shapes: B batch, T queries, S keys, H heads, K head width.
"""

import torch.nn.functional as F
from torch import Tensor

from loomlab.attention.base import Attention
from loomlab.attention.layout import Layout
from loomlab.attention.products import attend, is_short


class Full(Attention):
    """Every query sees every allowed key (Vaswani et al. 2017, section 3.2.1)."""

    directions = ("causal", "bidirectional")

    def mix(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, layout: Layout) -> Tensor:
        """Softmax of scaled dot products, (B, H, T, K), by the fastest kernel at hand."""
        mask = layout.mask(q_BHTK.dtype)
        if is_short(q_BHTK, k_BHSK, mask, layout.dropout):
            if layout.is_causal:
                mask = layout.dense(q_BHTK.dtype)
            return attend(q_BHTK, k_BHSK, v_BHSK, mask)
        return F.scaled_dot_product_attention(
            q_BHTK, k_BHSK, v_BHSK, mask, layout.dropout, layout.is_causal
        )
