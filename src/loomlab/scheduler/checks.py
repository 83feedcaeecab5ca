"""What can be wrong with a schedule, found from settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fits_the_run(settings: Mapping[str, Any], steps: int | None) -> list[str]:
    """A warm-up or decay in steps must not be longer than a run whose length is known."""
    return [
        f"{name}: {settings[name]:g} steps are more than the {steps} steps of the whole run; "
        "use fewer, or a fraction below 1"
        for name in ("warmup", "decay")
        if steps is not None and (settings.get(name) or 0) >= 1 and settings[name] > steps
    ]
