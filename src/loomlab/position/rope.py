"""Rotary positions. Shapes: B batch, T tokens, H heads, K head width, k half of K."""

from typing import Annotated

import torch
from torch import Tensor

from loomlab.errors import InputError
from loomlab.position.base import Position


class RoPE(Position):
    """Queries and keys turned by an angle that grows with position (Su et al. 2021)."""

    problem_check = "loomlab.position.checks.even_head_width"

    def __init__(
        self,
        base: Annotated[float, "(1, inf)"] = 10000.0,
        *,
        width: int,
        heads: int,
        context_length: int,
    ) -> None:
        super().__init__(width=width, heads=heads, context_length=context_length)
        if (width // heads) % 2:
            raise InputError(
                f"position=rope turns pairs of dimensions, but a head is {width // heads} wide: "
                "give an even model.width / model.heads."
            )
        self.base = base

    def rotate(self, q: Tensor, k: Tensor, position_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Both (B, H, T, K), turned so that scores depend on relative positions only."""
        width = q.shape[-1]
        # Computed, not kept in a buffer: it costs microseconds, and there is nothing to save,
        # to move or to initialize. Angles stay in float32: bfloat16 cannot count past 256.
        even = torch.arange(0, width, 2, dtype=torch.float32, device=position_BT.device)
        angle_B1Tk = position_BT[:, None, :, None].float() * self.base ** (-even / width)
        cos, sin = angle_B1Tk.cos().to(q.dtype), angle_B1Tk.sin().to(q.dtype)
        return _turn(q, cos, sin), _turn(k, cos, sin)


def _turn(x_BHTK: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + K/2) of the last dimension, the layout of Llama and GPT-NeoX."""
    first, second = x_BHTK.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
