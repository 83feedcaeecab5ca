"""A second signal acts at once, also where the main thread does not come back to Python.

Python runs handlers in the main thread, between two of its instructions. A thread that waits for
other processes in a collective comes to none, for ever if one of them hangs. The interpreter
writes the number of each signal into a socket as it arrives, and a thread of its own reads it.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection
from types import FrameType

SAME_WITHIN = 0.5  # seconds; `timeout` and agents send to a process and to its group
END = b"\0"


Handler = Callable[[int, FrameType | None], None]


def _nothing(signum: int, frame: FrameType | None) -> None:
    """A signal without a handler would end the process itself."""


class Insistence:
    """Takes signals over, and tells of the first and of the second from a thread of its own.

    `handler` is called for each as well, once the main thread comes back to Python.
    """

    def __init__(
        self, numbers: Collection[int], first: Callable[[int], None],
        second: Callable[[int], None], handler: Handler = _nothing,
    ) -> None:  # fmt: skip
        self.numbers, self.first, self.second, self.handler = numbers, first, second, handler
        self.since: float | None = None  # the moment of the first

    def begin(self) -> None:
        """Listen from now on; called in the main thread."""
        self.handlers = {number: signal.signal(number, self.handler) for number in self.numbers}
        self.ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        self.before = signal.set_wakeup_fd(self.theirs.fileno(), warn_on_full_buffer=False)
        _fd_in_use[:] = [self.theirs.fileno()]
        self.thread = threading.Thread(target=self._listen, daemon=True, name="signals")
        self.thread.start()

    def end(self) -> None:
        """Listen no more, and give the signals back."""
        signal.set_wakeup_fd(self.before)
        _fd_in_use.clear()
        self.theirs.setblocking(True)
        self.theirs.send(END)
        self.thread.join()
        self.ours.close()
        self.theirs.close()
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def _listen(self) -> None:
        while (arrived := self.ours.recv(1)) != END:
            if arrived[0] in self.numbers:
                self.hear(arrived[0])

    def hear(self, number: int) -> None:
        """A signal has arrived."""
        now = time.monotonic()
        if self.since is None:
            self.since = now
            self.first(number)
        elif now - self.since > SAME_WITHIN:
            self.second(number)


_fd_in_use: list[int] = []  # at most one: Python knows one such socket


def _forget() -> None:
    """Keep a forked process, one that loads data say, from telling its signals to its parent."""
    if _fd_in_use:
        signal.set_wakeup_fd(-1)
        _fd_in_use.clear()


os.register_at_fork(after_in_child=_forget)
