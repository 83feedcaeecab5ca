"""Full attention.

Shapes: B batch, T queries, S keys, H heads, K head width.
"""

import torch.nn.functional as F
from torch import Tensor

from loomlab.attention.base import Attention
from loomlab.attention.layout import Layout


class Full(Attention):
    """Every query sees every allowed key (Vaswani et al. 2017, section 3.2.1)."""

    directions = ("causal", "bidirectional")

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, layout: Layout) -> Tensor:
        """Softmax of scaled dot products, (B, H, T, K), by the fastest kernel at hand."""
        return F.scaled_dot_product_attention(
            q_BHTK,
            k_BHSK,
            v_BHSK,
            attn_mask=layout.mask(q_BHTK.dtype),
            dropout_p=layout.dropout,
            is_causal=layout.is_causal,
        )
