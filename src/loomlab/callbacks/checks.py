"""What can be wrong with a callback option, found from settings alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def rates_in_order(settings: Mapping[str, Any]) -> list[str]:
    """A range test must have a range to go through."""
    lowest, highest = settings["lowest"], settings["highest"]
    in_bounds = all(math.isfinite(rate) and rate > 0 for rate in (lowest, highest))
    if lowest < highest or not in_bounds:  # what is out of bounds is said already
        return []
    return [f"highest: {highest:g} is not above lowest={lowest:g}; try {lowest * 1e6:g}"]
