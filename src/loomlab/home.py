"""Paths as users type them: `~` is a home folder, wherever a path is given."""

import os
from pathlib import Path


def at_home(path: str | Path) -> Path:
    """The path with a leading `~` made whole; that of a user whom nobody knows stays as it is."""
    return Path(os.path.expanduser(path))
