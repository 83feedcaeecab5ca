"""What can be wrong with a logger option, found before training."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any


def tensorboard_is_installed(settings: Mapping[str, Any]) -> list[str]:
    """A complaint that names the extra, where the package is not here."""
    if find_spec("tensorboard") is not None:
        return []
    return ["the package tensorboard is not installed: pip install 'loomlab[tensorboard]'"]
