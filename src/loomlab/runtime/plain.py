"""The process as it comes."""

from __future__ import annotations

from loomlab.runtime.base import Runtime


class Plain(Runtime):
    """Leave allocator and matrix products as they are."""
