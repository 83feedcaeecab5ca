"""No positions."""

from loomlab.position.base import Position


class NoPosition(Position):
    """Nothing is told: a decoder can still count what it sees (Haviv et al. 2022)."""
