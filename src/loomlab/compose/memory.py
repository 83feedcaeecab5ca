"""What has been read and merged for composing, kept for as long as no config file changes."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.config_source import ConfigResult

from loomlab.compose.bases import Bases

FILE = "file://"


@dataclass
class Memory:
    """Files as read and choices of options as merged, under one state of the config folders."""

    state: Hashable = None
    read: dict[str, ConfigResult | None] = field(default_factory=dict)
    bases: Bases = field(default_factory=Bases)


_newest = Memory()


def recall(search_path: ConfigSearchPath, schemas: int) -> Memory:
    """The memory of these folders as they are now; an empty one if anything has changed.

    `schemas` counts how often schemas have changed. A working folder is part of what is composed.
    """
    global _newest
    places = [(entry.provider, entry.path) for entry in search_path.get_path()]
    state = (os.getcwd(), schemas, tuple(places), tuple(map(_files, (p for _, p in places))))
    if state != _newest.state:
        _newest = Memory(state)
    return _newest


def _files(place: str | None) -> tuple[tuple[str, int, int], ...]:
    """Path, time and size of every YAML of a folder; nothing of what lies in a package."""
    if place is None or not place.startswith(FILE):
        return ()
    paths = sorted(Path(place.removeprefix(FILE)).rglob("*.yaml"))
    stats = [(str(path), path.stat()) for path in paths if path.is_file()]
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats)
