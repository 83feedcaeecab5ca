"""One process."""

from __future__ import annotations

from loomlab.parallelism.base import Parallelism


class Single(Parallelism):
    """One process on one device."""

    @classmethod
    def layouts(cls, count: int, per_node: int, rows: int) -> list[dict[str, int]]:
        """Of one device."""
        return [{}] if count == 1 else []
