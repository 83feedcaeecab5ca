"""bfloat16 where this machine is faster with it."""

from __future__ import annotations

import time
from functools import cache
from typing import Annotated

import torch

from loomlab.device import device
from loomlab.measure.machine import measured_once
from loomlab.precision.base import Precision

PROBE_SHAPE = (4096, 256, 1024)  # rows of a batch, width, inner width of a small model
PROBE_ROUNDS = 12


class Auto(Precision):
    """bf16 where a matrix product is measured to be faster with it here, else fp32."""

    def __init__(
        self, faster_by: Annotated[float, "[1, inf)"] = 1.5, *, measured: bool | None = None
    ) -> None:
        """`faster_by`: how many times faster bf16 must be; its rounding has to pay.

        `measured` is what an earlier part of the same run found.
        """
        if measured is None:
            measured = _gpu_has_it() if device().type == "cuda" else bf16_speedup() >= faster_by
        self.bf16 = measured


def _gpu_has_it() -> bool:
    """Whether the GPU computes in bf16 itself, which is faster then."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


@cache
def bf16_speedup() -> float:
    """How many times faster a bf16 matrix product is than an fp32 one on this CPU."""
    return measured_once(
        "bf16_speedup", torch.get_num_threads(), torch.__version__,
        lambda: _seconds(torch.float32) / _seconds(torch.bfloat16),
    )  # fmt: skip


def _seconds(kind: torch.dtype) -> float:
    rows, inner, outer = PROBE_SHAPE
    left, right = torch.ones(rows, inner, dtype=kind), torch.ones(outer, inner, dtype=kind)
    times = []
    for _ in range(PROBE_ROUNDS):
        start = time.perf_counter()
        torch.nn.functional.linear(left, right)
        times.append(time.perf_counter() - start)
    return min(times)
