"""What can be wrong with an optimizer option, found from settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nesterov_has_momentum(settings: Mapping[str, Any]) -> list[str]:
    """Nesterov's step looks ahead along the momentum, so there must be some."""
    if settings.get("nesterov") and settings.get("momentum") == 0:
        return ["nesterov: looks ahead along the momentum, which is 0; set momentum above 0"]
    return []
