"""What can be wrong with a schedule, found from settings alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LENGTHS = ("warmup", "decay", "over")  # settings that are steps, or a fraction of the run


def fits_the_run(settings: Mapping[str, Any], steps: int | None) -> list[str]:
    """A warm-up, decay or thaw in steps must not be longer than a run whose length is known."""
    if steps is None:
        return []
    lengths = {name: settings.get(name) or 0 for name in LENGTHS}
    return [
        f"{name}: {length:g} steps are more than the {steps} steps of the whole run; "
        "use fewer, or a fraction below 1"
        for name, length in lengths.items()
        if math.isfinite(length) and length >= 1 and length > steps
    ]
