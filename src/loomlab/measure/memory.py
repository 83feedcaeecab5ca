"""How much memory this process needed at its peak."""

from __future__ import annotations

import resource
import sys

import torch


def peak_memory_bytes() -> int:
    """The largest resident set this process ever had, in bytes.

    A high-water mark of the whole process: it never falls, also not between two runs in it.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def peak_cuda_memory_bytes() -> int:
    """The most bytes torch ever had allocated on the current GPU; 0 when none is in use."""
    if not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return 0
    return torch.cuda.max_memory_allocated()
