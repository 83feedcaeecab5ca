"""How long a step takes by its roofline: the slower of arithmetic and memory, per operation.

Williams, Waterman & Patterson 2009, "Roofline". Messages that are sent while blocks compute
cost a part of their time, or all that goes beyond it; those that are waited for always count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loomlab.hardware.base import Hardware
from loomlab.plan.step import Watched
from loomlab.plan.watch import Kernel

# A compiled graph writes few of the tensors between its products; what is left of their traffic.
FUSED_TRAFFIC = 0.35


@dataclass(frozen=True)
class Estimate:
    """Seconds of one step of the optimizer."""

    compute: float
    hidden: float  # messages that travel while there is something to compute
    waited: float  # messages that nothing goes on without
    overlap_cost: float  # the share of `hidden` that computing loses
    idle: float  # the share of the step in which a stage of a pipeline has nothing to do

    @property
    def step(self) -> float:
        """All of it."""
        both = max(self.compute + self.overlap_cost * self.hidden, self.hidden)
        return (both + self.waited) / (1.0 - self.idle)


def estimate(watched: Watched, hardware: Hardware, fused: bool, idle: float = 0.0) -> Estimate:
    """Seconds of what was watched, on a kind of device; `fused`: the model is compiled."""
    micro = seconds(watched.micro, hardware, fused)
    compute = watched.micro_steps * micro + seconds(watched.update, hardware, False)
    times = [(m.waited_for, hardware.seconds_to_send(m) * m.count) for m in watched.messages]
    return Estimate(
        compute,
        hidden=sum(time for waits, time in times if not waits),
        waited=sum(time for waits, time in times if waits),
        overlap_cost=hardware.overlap_cost,
        idle=idle,
    )


def seconds(kernels: Iterable[Kernel], hardware: Hardware, fused: bool) -> float:
    """The sum over operations, one after the other."""
    rate, least = hardware.bytes_per_second(), hardware.seconds_per_operation()
    total = 0.0
    for kernel in kernels:
        if kernel.flops:
            work = kernel.flops / hardware.flops_per_second(kernel.half)
            total += max(work, kernel.bytes / rate, least)
        elif fused:
            total += FUSED_TRAFFIC * max(kernel.bytes / rate, least)
        else:
            total += max(kernel.bytes / rate, least)
    return total
