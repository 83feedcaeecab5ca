"""What every attention option provides.

Shapes: B batch, T queries, S keys, H heads, K head width.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from loomlab.attention.layout import Layout


class Attention(nn.Module, ABC):
    """How tokens mix: queries, keys and values in, mixed values out.

    `directions` says what it can do: "causal" (decoders), "bidirectional" (encoders), or both.
    """

    directions: tuple[str, ...] = ("causal", "bidirectional")

    @abstractmethod
    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, layout: Layout) -> Tensor:
        """Mix the values: (B, H, T, K), each query seeing what `layout` allows."""

    def dense_mask(self, layout: Layout, dtype: torch.dtype) -> Tensor:
        """What is added to all scores, (B|1, H|1, T, S): bias, and -inf where a key is unseen.

        For those who look at scores; the attention itself need not build it.
        """
        return layout.dense(dtype)
