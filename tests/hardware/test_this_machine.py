"""The machine at hand is measured, and shared by the processes of a run."""

from loomlab.hardware.this_machine import ThisMachine
from loomlab.parallelism.message import Message


def test_rates_are_those_of_a_computer_and_are_shared():
    machine = ThisMachine()
    alone = (machine.flops_per_second(half=False), machine.bytes_per_second(), machine.memory)
    assert 1e9 < alone[0] < 1e15
    assert 1e8 < alone[1] < 1e13
    assert alone[2] > 2**28
    assert 0 < machine.seconds_per_operation() < 1e-2
    message = Message("all_reduce", 2**24, ranks=2)
    before = machine.seconds_to_send(message)
    shared = machine.shared_by(2)
    assert shared.flops_per_second(half=False) == alone[0] / 2
    assert shared.memory == alone[2] / 2
    assert shared.shared_by(2).memory == alone[2] / 2, "told again, it is shared once"
    assert shared.seconds_to_send(message) > before
