"""What can be wrong with a position option, found from settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def even_head_width(settings: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """RoPE turns pairs of dimensions, so a head must have an even width."""
    model = config["model"]
    width, heads = model.get("width"), model.get("heads")
    if not isinstance(width, int) or not isinstance(heads, int) or heads < 1:
        return []
    if width % heads or (width // heads) % 2 == 0:
        return []
    return [
        f"pairs of dimensions are turned, but a head is {width // heads} wide: give an even "
        f"model.width / model.heads, say model.width={heads * (width // heads + 1)}"
    ]
