"""GPUs in nodes that a network joins, as their data sheets describe them."""

from __future__ import annotations

from typing import Annotated

from loomlab.hardware.base import Hardware
from loomlab.parallelism.message import Message

GIGA, TERA, MICRO = 1e9, 1e12, 1e-6
ROUNDS = {"all_reduce": 2}  # of the ring: first sums, then what they are


class GPU(Hardware):
    """Rates of a data sheet, and what share of them training gets.

    `node_gb_per_s` and `network_gb_per_s` are one device's links to others of its node and to
    other nodes, in one direction. `efficiency` is of products, `memory_efficiency` of memory,
    `link_efficiency` of both links. `launch_us` is the least an operation takes. A ring takes
    `node_latency_us` for each step within a node and `network_latency_us` for each between nodes
    (as NCCL's own tuning assumes). `overlap_cost` is the share of a message's time that it takes
    away from what is computed meanwhile: its kernels need some of the multiprocessors.
    """

    def __init__(
        self,
        name: str = "GPU",
        count: Annotated[int, "[1, 1048576]"] | None = None,
        devices_per_node: Annotated[int, "[1, 1024]"] = 8,
        tflops_fp32: Annotated[float, "(0, inf)"] = 19.5,
        tflops_bf16: Annotated[float, "(0, inf)"] = 312.0,
        memory_gb: Annotated[float, "(0, inf)"] = 80.0,
        memory_gb_per_s: Annotated[float, "(0, inf)"] = 2039.0,
        node_gb_per_s: Annotated[float, "(0, inf)"] = 300.0,
        network_gb_per_s: Annotated[float, "(0, inf)"] = 25.0,
        efficiency: Annotated[float, "(0, 1]"] = 0.6,
        memory_efficiency: Annotated[float, "(0, 1]"] = 0.8,
        link_efficiency: Annotated[float, "(0, 1]"] = 0.7,
        launch_us: Annotated[float, "[0, inf)"] = 5.0,
        node_latency_us: Annotated[float, "[0, inf)"] = 3.4,
        network_latency_us: Annotated[float, "[0, inf)"] = 14.0,
        overlap_cost: Annotated[float, "[0, 1]"] = 0.15,
    ) -> None:
        self.name, self.count, self.devices_per_node = name, count, devices_per_node
        self.memory = memory_gb * GIGA
        self._products = {
            False: tflops_fp32 * TERA * efficiency, True: tflops_bf16 * TERA * efficiency,
        }  # fmt: skip
        self._memory_rate = memory_gb_per_s * GIGA * memory_efficiency
        self._node = node_gb_per_s * GIGA * link_efficiency
        self._network = network_gb_per_s * GIGA * link_efficiency
        self._launch, self.overlap_cost = launch_us * MICRO, overlap_cost
        self._steps_take = (node_latency_us * MICRO, network_latency_us * MICRO)

    def flops_per_second(self, half: bool) -> float:
        """Of the data sheet, times the efficiency."""
        return self._products[half]

    def bytes_per_second(self) -> float:
        """Of the data sheet, times the efficiency of memory."""
        return self._memory_rate

    def seconds_per_operation(self) -> float:
        """To launch a kernel."""
        return self._launch

    def seconds_to_send(self, message: Message) -> float:
        """Over the slower of its links: a ring through several nodes leaves each by all links.

        Of a group with n devices in a node, n links to the network carry one ring each.
        """
        if message.ranks < 2:
            return 0.0
        once = message.sent / message.count
        inside = max(1, self.devices_per_node // message.stride)
        nodes = min(message.ranks, -(-message.ranks // inside))
        rate = min(self._node, self._network * inside) if nodes > 1 else self._node
        near, far = self._steps_take
        steps = (message.ranks - nodes) * near + (nodes - 1) * far
        return steps * ROUNDS.get(message.kind, 1) + once / rate
