"""Processes that are killed, stopped, slow or have something to say are named."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from loomlab.measure.machine import process_state
from loomlab.parallelism import roll_call
from loomlab.parallelism.roll_call import FOLDER, Entry, RollCall, enroll, kill, read, write


@pytest.fixture
def roll(tmp_path: Path) -> RollCall:
    return RollCall(tmp_path, rank=0, size=2)


@pytest.fixture
def other(roll: RollCall, tmp_path: Path) -> Iterator[tuple[Entry, "subprocess.Popen[bytes]"]]:
    """A second process, entered as the launcher does it."""
    process = subprocess.Popen(["sleep", "60"])
    yield enroll(tmp_path, 1, process.pid), process
    process.kill()
    process.wait()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_nothing_to_say_of_processes_that_are_there(roll: RollCall, other: tuple):
    assert roll.evident() is None
    assert [entry.rank for entry in roll.others()] == [1]


def test_a_killed_process(roll: RollCall, other: tuple):
    entry, process = other
    process.send_signal(signal.SIGKILL)
    until(lambda: roll.evident() is not None)
    failure = roll.find(1, timeout=10)
    assert failure.message == f"rank 1 (process {entry.pid}) was killed by SIGKILL"
    assert not failure.hangs


def test_a_process_that_leaves(roll: RollCall, tmp_path: Path):
    process = subprocess.Popen(["sh", "-c", "read x; exit 3"], stdin=subprocess.PIPE)
    enroll(tmp_path, 1, process.pid)
    process.communicate(b"\n")
    failure = roll.evident()
    assert failure is not None
    assert "rank 1" in failure.message
    assert "is gone" in failure.message, "it was waited for: nobody knows how it ended"


def test_a_stopped_process_is_named_and_killed(roll: RollCall, other: tuple):
    entry, process = other
    process.send_signal(signal.SIGSTOP)
    until(lambda: process_state(process.pid) == "T")
    failure = roll.find(5, timeout=10)
    assert failure.hangs
    assert f"rank 1 (process {entry.pid} on" in failure.message
    assert "is stopped; it was waited for as long as parallelism.timeout=10" in failure.message
    kill(entry)
    assert process.wait(20) == -signal.SIGKILL


def test_what_a_process_says_of_itself_comes_first(roll: RollCall, other: tuple, tmp_path: Path):
    entry, process = other
    entry.error = "rank 1 failed: ValueError: no such word"
    write(tmp_path, entry)
    process.kill()
    process.wait()
    failure = roll.find(1, timeout=10)
    assert failure.message == "rank 1 failed: ValueError: no such word"


def test_the_slowest_is_to_blame_where_all_are_there(roll: RollCall, other: tuple):
    roll.own.waits = 3
    failure = roll.find(0, timeout=10)
    assert failure.hangs
    assert "rank 1" in failure.message
    assert "has not come to where the others wait" in failure.message


def test_a_silent_process_of_another_machine(roll: RollCall, tmp_path: Path):
    write(tmp_path, Entry(1, "elsewhere", 1, 1.0, heard=time.time() - 60))
    assert roll.evident() is None, "this machine knows nothing of its processes"
    assert "rank 1 (process 1 on elsewhere) is not heard of" in roll.find(0, 10).message


def test_it_beats_until_it_is_through(roll: RollCall, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(roll_call, "BEAT_SECONDS", 0.01)
    roll.begin(lambda failure: None)
    until(lambda: (read(tmp_path, 0) or roll.own).heard > 0)
    roll.end("rank 0 failed: of itself")
    assert (read(tmp_path, 0) or roll.own).error == "rank 0 failed: of itself"
    again = RollCall(tmp_path, 0, 2)
    assert (read(tmp_path, 0) or roll.own).error == "", "an earlier part of the run is forgotten"
    again.begin(lambda failure: None)
    again.end()
    assert not (tmp_path / FOLDER).exists()


def test_a_failure_that_reaches_no_exception_gives_up(
    roll: RollCall, other: tuple, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(roll_call, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(roll_call, "PATIENCE_SECONDS", 0.05)
    found = []
    roll.begin(found.append)
    other[1].kill()
    until(lambda: bool(found))
    roll.end()
    assert "was killed by SIGKILL" in found[0].message
    assert roll.own.pid == os.getpid()
