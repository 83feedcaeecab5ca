"""What can be wrong with a probe, found from settings alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def temperatures(settings: Mapping[str, Any]) -> list[str]:
    """Text is drawn at a temperature of 0 (the likeliest token) or above."""
    bad = [t for t in settings["temperatures"] if not (math.isfinite(t) and t >= 0)]
    return [f"temperatures: {t:g} is not a finite number of at least 0; try 0.7" for t in bad]
