"""What every attention option provides.

Shapes: B batch, T queries, S keys, H heads, K head width.
"""

from abc import ABC, abstractmethod

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
