"""Learned positions. Shapes: B batch, T tokens, C context length, D width."""

import torch
from torch import Tensor, nn

from loomlab.position.base import Position


class Learned(Position):
    """One trained vector per position, added to the embeddings (GPT-2, BERT)."""

    extrapolates = False

    def __init__(self, *, width: int, heads: int, context_length: int) -> None:
        super().__init__(width=width, heads=heads, context_length=context_length)
        # Zeros until the model initializes it: no random number is drawn here, so that models
        # that differ in position alone start from the same other weights.
        self.table = nn.Embedding.from_pretrained(torch.zeros(context_length, width), freeze=False)

    def embed(self, x_BTD: Tensor, position_BT: Tensor) -> Tensor:
        """Embeddings plus the vector of each position, (B, T, D)."""
        return x_BTD + self.table(position_BT)
