"""A step takes what its slowest resource takes."""

import pytest

from loomlab.hardware.gpu import GPU
from loomlab.parallelism.message import Message
from loomlab.plan.estimate import FUSED_TRAFFIC, estimate, seconds
from loomlab.plan.step import Watched
from loomlab.plan.watch import Kernel

FULL = {"efficiency": 1.0, "memory_efficiency": 1.0, "link_efficiency": 1.0, "launch_us": 0.0}
LATE = {"node_latency_us": 0.0, "network_latency_us": 0.0}
DEVICE = GPU(tflops_fp32=1.0, tflops_bf16=2.0, memory_gb_per_s=1.0, node_gb_per_s=1.0,
             network_gb_per_s=0.1, **FULL, **LATE)  # fmt: skip


def test_an_operation_is_bound_by_arithmetic_or_by_memory():
    product = Kernel("mm", flops=1e12, bytes=1e6, half=False)
    half = Kernel("mm", flops=1e12, bytes=1e6, half=True)
    wide = Kernel("add", flops=0, bytes=2e9, half=False)
    assert seconds([product], DEVICE, fused=False) == 1.0
    assert seconds([half], DEVICE, fused=False) == 0.5
    assert seconds([wide], DEVICE, fused=False) == 2.0
    assert seconds([product, wide], DEVICE, fused=True) == 1.0 + 2.0 * FUSED_TRAFFIC


def test_messages_are_hidden_by_what_is_computed_meanwhile_or_waited_for():
    kernels = [Kernel("mm", flops=1e12, bytes=1.0, half=False)]

    def step(size: float, waited: bool, idle: float = 0.0) -> float:
        message = Message("all_reduce", size, ranks=2, waited_for=waited)
        seen = Watched(0, 0, 0, 0, 0, 0, micro=kernels, messages=[message])
        return estimate(seen, DEVICE, fused=False, idle=idle).step

    assert step(1e9, waited=True) == pytest.approx(2.0)
    assert step(1e9, waited=False) == pytest.approx(1.0 + DEVICE.overlap_cost)
    assert step(9e9, waited=False) == pytest.approx(9.0)
    assert step(1e9, waited=True, idle=0.5) == pytest.approx(4.0)
