"""Sliding-window attention, computed in blocks.

Shapes: B batch, T queries, S keys, H heads, K head width; N blocks of W queries, each seeing
U keys (its own block and its neighbours), R = B * N.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from loomlab.attention.base import Attention
from loomlab.attention.layout import Layout

SMALLEST_BLOCK = 16  # below, the overhead of a block outweighs the work saved
NOWHERE = -(2**40)  # the position of filling: out of reach of every real position


class SlidingWindow(Attention):
    """A query sees only nearby keys, at a cost linear in length (Beltagy et al. 2020).

    Causal: itself and the `window` - 1 before it. Bidirectional: `window` // 2 to each side.
    A window given to the kernel as a mask is slower than full attention, so the sequence is cut
    into blocks at least as long as the reach: a block then needs only itself and its neighbours.
    """

    directions = ("causal", "bidirectional")

    def __init__(self, window: Annotated[int, "[1, inf)"] = 128) -> None:
        super().__init__()
        self.window = window

    def reach(self, causal: bool) -> int:
        """How far a query sees, in tokens, to each allowed side."""
        return self.window - 1 if causal else self.window // 2

    def mix(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, layout: Layout) -> Tensor:
        """Softmax of scaled dot products inside the window, (B, H, T, K)."""
        reach, keys = self.reach(layout.causal), k_BHSK.shape[2]
        if layout.square and reach < keys - 1:
            return self._blocked(q_BHTK, k_BHSK, v_BHSK, layout)
        mask, is_causal = layout.mask(q_BHTK.dtype), layout.is_causal
        if reach < keys - 1:
            mask, is_causal = self.dense_mask(layout, q_BHTK.dtype), False
        return F.scaled_dot_product_attention(
            q_BHTK, k_BHSK, v_BHSK, mask, layout.dropout, is_causal
        )

    def dense_mask(self, layout: Layout, dtype: torch.dtype) -> Tensor:
        """The mask with the window in it, (B|1, H|1, T, S); for a few queries on cached keys."""

        def build() -> Tensor:
            query_BT, key_BS = layout.query_position_BT, layout.key_position_BS
            documents = (layout.document_query_BT, layout.document_key_BS)
            allowed_BTS = layout.allowed(query_BT, key_BS, layout.keep_BS, *documents)
            allowed_BTS = allowed_BTS & self._near(query_BT, key_BS, layout.causal)
            return layout.additive(allowed_BTS, query_BT, key_BS, dtype)

        return layout.once(("window", self.window, dtype), build)

    def _near(self, query: Tensor, key: Tensor, causal: bool) -> Tensor:
        """Whether a key is in reach of a query: bool (..., T, S)."""
        return (query[..., :, None] - key[..., None, :]).abs() <= self.reach(causal)

    def _blocked(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, layout: Layout) -> Tensor:
        """The same, block by block: blocks are one more batch dimension to the kernel."""
        batch, heads, length, head_width = q_BHTK.shape
        block = max(self.window if layout.causal else self.window // 2, SMALLEST_BLOCK)
        q, k, v = (x.transpose(1, 2) for x in (q_BHTK, k_BHSK, v_BHSK))
        q_RWHK = _blocks(q, block).flatten(0, 1)
        k_RUHK = _spans(k, block, layout.causal).flatten(0, 1)
        v_RUHK = _spans(v, block, layout.causal).flatten(0, 1)
        mask = layout.once(
            ("blocks", self.window, q.dtype),
            lambda: self._block_mask(layout, batch, block, q.dtype),
        )
        out_RHWK = F.scaled_dot_product_attention(
            q_RWHK.transpose(1, 2),
            k_RUHK.transpose(1, 2),
            v_RUHK.transpose(1, 2),
            mask,
            layout.dropout,
        )
        out_BTHK = out_RHWK.transpose(1, 2).reshape(batch, -1, heads, head_width)[:, :length]
        return out_BTHK.transpose(1, 2)

    def _block_mask(self, layout: Layout, batch: int, block: int, dtype: torch.dtype) -> Tensor:
        """The additive mask of every block, (R, H|1, W, U)."""
        query = _blocks(layout.query_position_BT, block, NOWHERE)
        key = _spans(layout.key_position_BS, block, layout.causal, NOWHERE)
        keep, document_query, document_key = None, None, None
        if layout.keep_BS is not None:
            keep = _spans(layout.keep_BS, block, layout.causal)
        if layout.document_query_BT is not None and layout.document_key_BS is not None:
            document_query = _blocks(layout.document_query_BT, block)
            document_key = _spans(layout.document_key_BS, block, layout.causal)
        allowed = layout.allowed(query, key, keep, document_query, document_key)
        allowed = allowed & self._near(query, key, layout.causal)
        rows, blocks = allowed.shape[:2]  # rows is 1 where nothing differs over the batch
        query, key = (x.expand(rows, -1, -1).flatten(0, 1) for x in (query, key))
        mask = layout.additive(allowed.flatten(0, 1), query, key, dtype)
        mask = mask.unflatten(0, (rows, blocks)).expand(batch, -1, -1, -1, -1)
        return mask.flatten(0, 1)


def _blocks(x: Tensor, block: int, fill: int = 0) -> Tensor:
    """Cut (B, T, ...) into blocks, (B, N, W, ...), the last one filled up."""
    missing = -x.shape[1] % block
    if missing:
        x = F.pad(x, (0, 0) * (x.dim() - 2) + (0, missing), value=fill)
    return x.unflatten(1, (-1, block))


def _spans(x: Tensor, block: int, causal: bool, fill: int = 0) -> Tensor:
    """Each block with the one before it and, unless causal, the one after: (B, N, U, ...)."""
    x = _blocks(x, block, fill)
    edge = torch.full_like(x[:, :1], fill)
    parts = [torch.cat((edge, x[:, :-1]), dim=1), x]
    if not causal:
        parts.append(torch.cat((x[:, 1:], edge), dim=1))
    return torch.cat(parts, dim=2)
