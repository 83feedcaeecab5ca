"""Linear biases. Shapes: B batch, T queries, S keys, H heads."""

import math

import torch
from torch import Tensor

from loomlab.position.base import Position


class ALiBi(Position):
    """Scores fall linearly with distance, a slope per head (Press et al. 2022, section 3)."""

    has_bias = True
    tensor_parallel = False

    def bias(self, query_position: Tensor, key_position: Tensor) -> Tensor:
        """-slope * |i - j|: (B, H, T, S) float32 (the absolute value serves encoders)."""
        slope_H = torch.tensor(slopes(self.heads), device=query_position.device)
        gap_BTS = (query_position[:, :, None] - key_position[:, None, :]).abs()
        return -slope_H[:, None, None] * gap_BTS[:, None]


def slopes(heads: int) -> list[float]:
    """The slope of each head: 2^(-8/n), 2^(-16/n), ... for n heads.

    When n is no power of two, the slopes of the next lower power, then every other slope of the
    next higher one (the rule of the authors' code).
    """
    power = 2 ** math.floor(math.log2(heads))
    lower = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    higher = [2 ** (-8 * (i + 1) / (2 * power)) for i in range(0, 2 * power, 2)]
    return lower + higher[: heads - power]
