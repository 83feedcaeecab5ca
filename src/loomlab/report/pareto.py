"""The Pareto front: what nothing else beats in one respect without losing in another."""

from __future__ import annotations

import math
from collections.abc import Sequence


def front(points: Sequence[Sequence[float | None]]) -> list[int]:
    """Indices of the points that no other dominates, where less is better in every coordinate.

    Equal points are on the front together. A point with a coordinate that is unknown or no finite
    number is not on it and dominates none.
    """
    known = {
        i: [float(c) for c in point if c is not None]
        for i, point in enumerate(points)
        if all(c is not None and math.isfinite(c) for c in point)
    }
    return [
        i for i, point in known.items() if not any(_dominates(p, point) for p in known.values())
    ]


def _dominates(one: list[float], other: list[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
