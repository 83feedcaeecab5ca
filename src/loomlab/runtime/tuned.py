"""Allocator and matrix-product settings that were measured to make training on CPU faster."""

from __future__ import annotations

import ctypes
import platform
import time
from collections.abc import Callable
from typing import Any, Literal

import torch

from loomlab.measure.machine import measured_once
from loomlab.runtime.base import Runtime

# malloc.h: keep what is freed instead of giving it back and faulting it in again at every step
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEEP_BELOW, GROW_BY = 2**31 - 1, 64 * 2**20

# "medium" lets fp32 products use the bf16 units where there are such (AMX). It is taken only if
# the result stays as close to float64 as the usual product does, to within this factor.
ERROR_FACTOR = 4.0
# Where it helps it is about twice as fast; less is noise, and the choice must not be a coin toss.
FASTER_BY = 1.4
PROBE_SIZE, PROBE_ROUNDS = 512, 12


class Tuned(Runtime):
    """Keep freed memory (glibc) and take the faster fp32 matrix product that is as exact."""

    def __init__(
        self,
        allocator: Literal["keep", "default"] = "keep",
        matmul: Literal["auto", "highest", "medium"] = "auto",
    ) -> None:
        self.allocator = allocator
        self.matmul = matmul

    def apply(self) -> dict[str, Any]:
        """Set the process up; returns what is in force."""
        if self.allocator == "keep" and keep_freed_memory():
            Runtime.memory_is_kept = True
        precision = self.matmul if self.matmul != "auto" else measured_once(
            "matmul", torch.get_num_threads(), torch.__version__, fastest_exact_matmul
        )  # fmt: skip
        torch.set_float32_matmul_precision(precision)
        return {"allocator": self.allocator_in_force(), "matmul": precision}


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to keep large blocks in its heap; False on other C libraries."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEEP_BELOW), (M_TOP_PAD, GROW_BY))
    accepted = [mallopt(key, value) == 1 for key, value in settings]
    return all(accepted)


def fastest_exact_matmul() -> str:
    """Name "medium" if it is clearly faster here and as exact as "highest", else "highest"."""
    before = torch.get_float32_matmul_precision()
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(PROBE_SIZE, PROBE_SIZE, generator=generator)
    right = torch.randn(PROBE_SIZE, PROBE_SIZE, generator=generator)
    exact = left.double() @ right.double()
    figures = {}
    for precision in ("highest", "medium"):
        torch.set_float32_matmul_precision(precision)
        result = left @ right
        error = float((result.double() - exact).abs().mean())
        figures[precision] = (_best_time(lambda: left @ right), error)
    torch.set_float32_matmul_precision(before)
    faster = figures["medium"][0] * FASTER_BY < figures["highest"][0]
    as_exact = figures["medium"][1] <= ERROR_FACTOR * figures["highest"][1]
    return "medium" if faster and as_exact else "highest"


def _best_time(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(PROBE_ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
