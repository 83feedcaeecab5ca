"""What a plan asks of a kind of device."""

from __future__ import annotations

from loomlab.parallelism.message import Message


class Hardware:
    """Devices of one kind. Rates are what can be had, not what a data sheet promises.

    `count`: how many there are; None for as many as the run has processes.
    """

    name: str
    count: int | None
    devices_per_node: int
    memory: float  # bytes of a device
    overlap_cost: float  # share of a message's time that computing loses meanwhile

    def shared_by(self, processes: int) -> Hardware:
        """The device of one process, where so many of a node share what there is."""
        return self

    def flops_per_second(self, half: bool) -> float:
        """Of matrix products with 16-bit or 32-bit inputs."""
        raise NotImplementedError

    def bytes_per_second(self) -> float:
        """Between a device and its memory."""
        raise NotImplementedError

    def seconds_per_operation(self) -> float:
        """The least that any operation takes."""
        raise NotImplementedError

    def seconds_to_send(self, message: Message) -> float:
        """What a message takes once."""
        raise NotImplementedError
