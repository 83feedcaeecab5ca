"""The processor and memory of this machine, measured when they are asked for."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Annotated

import torch

from loomlab.hardware.base import Hardware
from loomlab.parallelism.message import Message

SIZE, ROUNDS = 768, 8  # of the product that is timed
SOURCE_BYTES = 2**27  # beyond any cache
SENT_BYTES = 2**25
# A sum over processes writes, sends, reads and adds; of what a socket carries this is left.
GLOO_SHARE = 0.4
LATENCY = 2e-4


class ThisMachine(Hardware):
    """The processor at hand, with the threads torch has here; measured in about a second.

    Processes of a run share it. What they send goes through a socket of this machine.
    """

    def __init__(self, count: Annotated[int, "[1, 1024]"] | None = None) -> None:
        self.name, self.count = "this machine", count
        self.devices_per_node = 1024
        self.overlap_cost = 1.0  # the same cores compute and send
        self.memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        self._products = {half: product_rate(half) for half in (False, True)}
        self._memory_rate, self._operation = copy_rate(), operation_time()
        self._link = socket_rate() * GLOO_SHARE
        self._processes = 1

    def shared_by(self, processes: int) -> ThisMachine:
        """Its cores, its memory and what passes between them divided up."""
        self.memory *= self._processes / processes
        self._processes = processes
        return self

    def flops_per_second(self, half: bool) -> float:
        """Measured."""
        return self._products[half] / self._processes

    def bytes_per_second(self) -> float:
        """Measured on a copy."""
        return self._memory_rate / self._processes

    def seconds_per_operation(self) -> float:
        """Measured on an operation of one number."""
        return self._operation

    def seconds_to_send(self, message: Message) -> float:
        """All processes send through the same memory."""
        if message.ranks < 2:
            return 0.0
        return LATENCY + message.sent / message.count / (self._link / self._processes)


def best_time(work: Callable[[], object]) -> float:
    """The least seconds of several rounds: others may want the processor, too."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def product_rate(half: bool) -> float:
    """Floating-point operations a second of a matrix product."""
    kind = torch.bfloat16 if half else torch.float32
    left, right = torch.ones(SIZE, SIZE, dtype=kind), torch.ones(SIZE, SIZE, dtype=kind)
    return 2 * SIZE**3 / best_time(lambda: left @ right)


def copy_rate() -> float:
    """Bytes read and written a second."""
    source = torch.zeros(SOURCE_BYTES, dtype=torch.uint8)
    target = torch.zeros_like(source)
    return 2 * SOURCE_BYTES / best_time(lambda: target.copy_(source))


def operation_time() -> float:
    """Seconds of an operation that has next to nothing to do, with its gradient on record."""
    number = torch.zeros(1, requires_grad=True)

    def hundred() -> None:
        for _ in range(100):
            number + 1.0

    return best_time(hundred) / 100


def socket_rate() -> float:
    """Bytes a second from one end of a socket to the other."""
    data = bytes(SENT_BYTES)

    def through() -> None:
        one, other = socket.socketpair()
        with one, other:
            sender = threading.Thread(target=one.sendall, args=(data,))
            sender.start()
            left = SENT_BYTES
            while left:
                left -= len(other.recv(2**20))
            sender.join()

    return SENT_BYTES / best_time(through)
