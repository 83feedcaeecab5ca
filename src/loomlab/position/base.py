"""What every position option provides.

Shapes: B batch, T queries, S keys, H heads, K head width, D width.
"""

from torch import Tensor, nn

from loomlab.errors import InputError


class Position(nn.Module):
    """How order is told: three hooks, each of which does nothing unless overridden.

    `extrapolates` says whether sequences longer than `context_length` can be read at all;
    `has_bias` whether `bias` returns something, so that attention keeps its fastest path when not.
    """

    extrapolates: bool = True
    has_bias: bool = False

    def __init__(self, *, width: int, heads: int, context_length: int) -> None:
        super().__init__()
        self.width, self.heads, self.context_length = width, heads, context_length

    def embed(self, x_BTD: Tensor, position_BT: Tensor) -> Tensor:
        """Token embeddings with their position added, (B, T, D)."""
        return x_BTD

    def rotate(self, q: Tensor, k: Tensor, position_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and new keys, (B, H, T, K), turned by position; a cache keeps turned keys."""
        return q, k

    def bias(self, query_position: Tensor, key_position: Tensor) -> Tensor | None:
        """What is added to attention scores, (B|1, H, T, S), for positions (B, T) and (B, S)."""
        return None

    def check_length(self, length: int) -> None:
        """Refuse a sequence that this position cannot tell.

        Raises:
            InputError: `length` is over `context_length` and the option does not extrapolate.
        """
        if length > self.context_length and not self.extrapolates:
            raise InputError(
                f"A sequence of {length} tokens is longer than the {self.context_length} the model"
                f" was built for, which position {type(self).__name__.lower()} cannot read:"
                " give a shorter sequence, or train with position=rope or position=alibi."
            )
