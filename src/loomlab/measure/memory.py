"""How much memory this process needed at its peak."""

from __future__ import annotations

import resource
import sys


def peak_memory_bytes() -> int:
    """The largest resident set this process ever had, in bytes.

    A high-water mark of the whole process: it never falls, also not between two runs in it.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
