"""What goes over the wire, by the ring algorithm."""

import pytest

from loomlab.parallelism.message import Message


@pytest.mark.parametrize(
    ("kind", "share"),
    [("all_reduce", 1.5), ("all_gather", 0.75), ("reduce_scatter", 0.75), ("send", 1.0)],
)
def test_a_process_of_four_sends_its_share(kind: str, share: float):
    assert Message(kind, 1000, 4).sent == 1000 * share
    assert Message(kind, 1000, 4, count=3).sent == 3000 * share


def test_alone_there_is_nobody_to_send_to():
    assert Message("all_reduce", 1000, 1).sent == 0
