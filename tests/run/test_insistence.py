"""Signals are heard while the main thread waits in a place where it calls no handler."""

import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import torch.distributed as dist
from tests.clock import Clock

from loomlab.run import insistence
from loomlab.run.insistence import Insistence

SENT = signal.SIGUSR1
NEVER = signal.SIGUSR2
LONG = timedelta(seconds=60)


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    """Both signals have handlers that do nothing."""
    before = {number: signal.signal(number, lambda *_: None) for number in (SENT, NEVER)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_both_signals_are_heard_in_a_wait_for_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(insistence, "time", Clock(tick=1.0))
    serving = dist.TCPStore("127.0.0.1", 0, None, True, LONG, wait_for_workers=False)
    first, second = (
        dist.TCPStore("127.0.0.1", serving.port, None, False, LONG, wait_for_workers=False)
        for _ in range(2)
    )
    heard = Insistence(
        [SENT], lambda number: first.set("first", str(number)),
        lambda number: second.set("second", str(number)),
    )  # fmt: skip
    before = signal.set_wakeup_fd(-1)
    heard.begin()
    try:
        for key in ("first", "second"):
            threading.Timer(0.1, os.kill, (os.getpid(), NEVER)).start()
            threading.Timer(0.2, os.kill, (os.getpid(), SENT)).start()
            serving.wait([key], LONG)
            assert serving.get(key).decode() == str(int(SENT))
    finally:
        heard.end()
    assert signal.set_wakeup_fd(-1) == before
    assert not heard.thread.is_alive()


@pytest.mark.parametrize(("tick", "times"), [(0.1, 0), (1.0, 2)])
def test_one_signal_sent_twice_is_one(monkeypatch: pytest.MonkeyPatch, tick: float, times: int):
    """As `timeout` does, to a process and to its group."""
    monkeypatch.setattr(insistence, "time", Clock(tick))
    told: list[str] = []
    heard = Insistence([SENT], lambda _: told.append("first"), lambda _: told.append("second"))
    for _ in range(3):
        heard.hear(SENT)
    assert told == ["first", *["second"] * times]


def test_a_forked_process_does_not_tell_its_signals_to_its_parent():
    told: list[int] = []
    heard = Insistence([SENT], told.append, told.append)
    heard.begin()
    child = os.fork()
    if child == 0:
        signal.raise_signal(SENT)
        os._exit(0 if signal.set_wakeup_fd(-1) == -1 else 1)
    _, status = os.waitpid(child, 0)
    heard.end()
    assert os.waitstatus_to_exitcode(status) == 0
    assert told == []
