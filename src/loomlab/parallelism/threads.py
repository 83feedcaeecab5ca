"""The cores of a machine divided among the processes that a run has there."""

from __future__ import annotations

import os

import torch


def divide_threads(processes: int) -> int:
    """Give this process its part of the cores; returns the threads it computes with.

    Without it, each process starts a thread per core, and they fight. OMP_NUM_THREADS in the
    environment is somebody's own decision and stays.
    """
    if processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))
    return torch.get_num_threads()
