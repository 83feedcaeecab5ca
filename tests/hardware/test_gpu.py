"""Messages of a cluster take the link that is the slowest on their way."""

import pytest

from loomlab.hardware.gpu import GPU
from loomlab.parallelism.message import Message

BARE = {"node_latency_us": 0.0, "network_latency_us": 0.0, "link_efficiency": 1.0}
GIGABYTE = 1e9


def gather(ranks: int, stride: int = 1) -> Message:
    """Of which each process sends a gigabyte."""
    return Message("all_gather", GIGABYTE * ranks / (ranks - 1), ranks, stride)


def test_within_a_node_its_own_links_count():
    gpu = GPU(node_gb_per_s=100, network_gb_per_s=5, **BARE)
    assert gpu.seconds_to_send(gather(8)) == pytest.approx(0.01)


def test_between_nodes_all_members_of_a_node_send():
    gpu = GPU(node_gb_per_s=100, network_gb_per_s=5, **BARE)
    assert gpu.seconds_to_send(gather(16)) == pytest.approx(1 / 40)
    assert gpu.seconds_to_send(gather(16, stride=8)) == pytest.approx(1 / 5), "one of each node"
    assert gpu.seconds_to_send(Message("all_reduce", 1e9, ranks=1)) == 0


def test_steps_of_the_ring_take_their_time():
    gpu = GPU(node_latency_us=1.0, network_latency_us=10.0)
    small = {n: Message("all_gather", 8.0, n) for n in (8, 16)}
    assert gpu.seconds_to_send(small[8]) == pytest.approx(7e-6, rel=0.01)
    assert gpu.seconds_to_send(small[16]) == pytest.approx(14e-6 + 10e-6, rel=0.01)
    twice = Message("all_reduce", 8.0, 8)
    assert gpu.seconds_to_send(twice) == pytest.approx(14e-6, rel=0.01)
