"""JSON that every reader takes: Python's own writes NaN and Infinity, which no standard knows."""

from __future__ import annotations

import json
import math
from typing import Any


def dumps(value: Any, **how: Any) -> str:
    """The JSON of a value; null for what is no finite number."""
    return json.dumps(finite(value), allow_nan=False, **how)


def finite(node: Any) -> Any:
    """The same value with None for what is no finite number."""
    if isinstance(node, dict):
        return {key: finite(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [finite(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node
