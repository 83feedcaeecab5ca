"""How long tests wait for a process: minutes, and where it hangs is shown then."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

PATIENCE = 300.0  # seconds; a busy machine is slow, and what hangs hangs for ever
os.environ["PYTHONFAULTHANDLER"] = "1"  # upon SIGABRT, Python prints the stacks of all threads


@contextmanager
def limited() -> Iterator[None]:
    """Whoever waits for a subprocess without a limit of its own gets this one."""
    communicate, wait = subprocess.Popen.communicate, subprocess.Popen.wait

    def hangs(process: Any) -> None:
        process.send_signal(signal.SIGABRT)
        said = communicate(process, None, 60)
        raise AssertionError(f"{process.args} hangs after {PATIENCE:g} s: {said}")

    def patient_communicate(self: Any, input: Any = None, timeout: float | None = None) -> Any:
        try:
            return communicate(self, input, timeout or PATIENCE)
        except subprocess.TimeoutExpired:
            if timeout:
                raise
            return hangs(self)

    def patient_wait(self: Any, timeout: float | None = None) -> Any:
        try:
            return wait(self, timeout or PATIENCE)
        except subprocess.TimeoutExpired:
            if timeout:
                raise
            return hangs(self)

    replaced = {"communicate": patient_communicate, "wait": patient_wait}
    with mock.patch.multiple(subprocess.Popen, **replaced):
        yield


def readable(descriptor: int, seconds: float) -> bool:
    """Whether something can be read within so many seconds; `select` knows small numbers only."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def wait_until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for what is going to be true; fails where it is not in so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
