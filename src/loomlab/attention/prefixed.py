"""Attention that sees trained keys and values before those of the text.

Shapes: B batch, T queries, S keys, H heads, K head width, P length of the prefix.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlab.attention.base import Attention, weighted
from loomlab.attention.layout import Layout


class Prefixed(Attention):
    """Another attention, each query of which also sees a prefix of trained keys and values.

    The prefix has no positions: it is as near to the first token as to the last, in no cache,
    and takes nothing of the context length.
    """

    def __init__(self, inner: Attention, length: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.inner = inner
        self.keys_HPK = nn.Parameter(torch.randn(heads, length, head_width))
        self.values_HPK = nn.Parameter(torch.zeros(heads, length, head_width))

    def mix(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, layout: Layout) -> Tensor:
        """Mix the prefix and the values, (B, H, T, K)."""
        keys, values, mask = self._with_prefix(q_BHTK, k_BHSK, v_BHSK, layout)
        return F.scaled_dot_product_attention(q_BHTK, keys, values, mask, layout.dropout)

    def _with_prefix(
        self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, layout: Layout
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Keys and values with those of the prefix before them, and the mask of all scores."""
        keys, values = (
            torch.cat([prefix.to(text.dtype).expand(len(text), -1, -1, -1), text], dim=2)
            for prefix, text in ((self.keys_HPK, k_BHSK), (self.values_HPK, v_BHSK))
        )
        mask = self.dense_mask(layout, q_BHTK.dtype)
        return keys, values, F.pad(mask, (self.keys_HPK.shape[1], 0))

    def explicit(
        self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, layout: Layout
    ) -> tuple[Tensor, Tensor]:
        """As any other; the weights (B, H, T, P + S) begin with those of the prefix."""
        keys, values, mask = self._with_prefix(q_BHTK, k_BHSK, v_BHSK, layout)
        return weighted(q_BHTK, keys, values, mask, layout.dropout)

    def dense_mask(self, layout: Layout, dtype: torch.dtype) -> Tensor:
        """That of the other attention, (B|1, H|1, T, S): of the text, without the prefix."""
        return self.inner.dense_mask(layout, dtype)
