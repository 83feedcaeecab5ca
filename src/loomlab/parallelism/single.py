"""One process."""

from __future__ import annotations

from loomlab.parallelism.base import Parallelism


class Single(Parallelism):
    """One process on one device."""
