"""What a process hands to a collective, and how much of it goes over the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Message:
    """One collective of a step, as a process sees it.

    `size` is the whole tensor in bytes: what is summed, gathered or scattered. `stride` is the
    distance of the ranks in the group: 1 for neighbours. `waited_for`: nothing is computed while
    it travels. `count` is how often it happens in a step.
    """

    kind: str
    size: float
    ranks: int
    stride: int = 1
    waited_for: bool = False
    count: float = 1.0

    @property
    def sent(self) -> float:
        """Bytes that a process sends for it in a step, by the ring algorithm."""
        return WIRE[self.kind](self.ranks) * self.size * self.count


# Share of the whole tensor that a process sends (Patarasuk & Yuan 2009, section 3).
WIRE: dict[str, Callable[[int], float]] = {
    "all_reduce": lambda n: 2 * (n - 1) / n,
    "all_gather": lambda n: (n - 1) / n,
    "reduce_scatter": lambda n: (n - 1) / n,
    "all_to_all": lambda n: (n - 1) / n,
    "broadcast": lambda n: 1.0,
    "send": lambda n: 1.0,
}


def size_of(tensor: Tensor) -> int:
    """Bytes of a tensor, or of a gradient like it."""
    return tensor.numel() * tensor.element_size()
