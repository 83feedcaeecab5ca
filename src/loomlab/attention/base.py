"""What every attention option provides.

Shapes: B batch, T queries, S keys, H heads, K head width.
"""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlab.attention.layout import Layout


class Attention(nn.Module, ABC):
    """How tokens mix: queries, keys and values in, mixed values out.

    `directions` says what it can do: "causal" (decoders), "bidirectional" (encoders), or both.
    """

    directions: tuple[str, ...] = ("causal", "bidirectional")

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, layout: Layout) -> Tensor:
        """Mix the values, (B, H, T, K), by weights that can be looked at if `layout` asks for it.

        However they are mixed: so hooks hear of it.
        """
        if not layout.explicit:
            return self.mix(q_BHTK, k_BHSK, v_BHSK, layout)
        mixed_BHTK, weights_BHTS = self.explicit(q_BHTK, k_BHSK, v_BHSK, layout)
        if layout.weights is not None:
            layout.weights.append(weights_BHTS)
        return mixed_BHTK

    @abstractmethod
    def mix(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, layout: Layout) -> Tensor:
        """Mix the values: (B, H, T, K), each query seeing what `layout` allows."""

    def explicit(
        self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, layout: Layout
    ) -> tuple[Tensor, Tensor]:
        """The same by weights that are held, (B, H, T, S): mixed values, and the weights.

        For those who look at weights.
        """
        mask = self.dense_mask(layout, q_BHTK.dtype)
        return weighted(q_BHTK, k_BHSK, v_BHSK, mask, layout.dropout)

    def dense_mask(self, layout: Layout, dtype: torch.dtype) -> Tensor:
        """What is added to all scores, (B|1, H|1, T, S): bias, and -inf where a key is unseen.

        For those who look at scores; the attention itself need not build it.
        """
        return layout.dense(dtype)


def weighted(
    q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, mask: Tensor, dropout: float
) -> tuple[Tensor, Tensor]:
    """Values mixed by softmax(q k^T / sqrt(K) + mask), and these weights (B, H, T, S).

    Vaswani et al. 2017, section 3.2.1, as it is written there; dropout is of the weights.
    """
    scores_BHTS = q_BHTK @ k_BHSK.mT * q_BHTK.shape[-1] ** -0.5 + mask
    weights_BHTS = F.dropout(scores_BHTS.softmax(-1).to(v_BHSK.dtype), dropout)
    return weights_BHTS @ v_BHSK, weights_BHTS
