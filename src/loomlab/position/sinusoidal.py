"""Sinusoidal positions. Shapes: B batch, T tokens, D width."""

import math
from typing import Annotated

import torch
from torch import Tensor

from loomlab.errors import InputError
from loomlab.position.base import Position


class Sinusoidal(Position):
    """Fixed sines and cosines added to the embeddings (Vaswani et al. 2017, section 3.5)."""

    def __init__(
        self,
        base: Annotated[float, "(1, inf)"] = 10000.0,
        *,
        width: int,
        heads: int,
        context_length: int,
    ) -> None:
        super().__init__(width=width, heads=heads, context_length=context_length)
        if width % 2:
            raise InputError(
                f"position=sinusoidal pairs the dimensions, but model.width is {width}: "
                "give an even width."
            )
        self.base = base

    def embed(self, x_BTD: Tensor, position_BT: Tensor) -> Tensor:
        """Embeddings times sqrt(D), as in the paper (section 3.4), plus the waves: (B, T, D)."""
        waves_BTD = self.waves(position_BT)
        return x_BTD * math.sqrt(self.width) + waves_BTD.to(x_BTD.dtype)

    def waves(self, position_BT: Tensor) -> Tensor:
        """sin(p / base^(2i/D)) in dimension 2i and its cosine in 2i + 1, float32 (B, T, D)."""
        even = torch.arange(0, self.width, 2, dtype=torch.float32, device=position_BT.device)
        angle_BTd = position_BT[..., None].float() * self.base ** (-even / self.width)
        return torch.stack((angle_BTd.sin(), angle_BTd.cos()), dim=-1).flatten(-2)
