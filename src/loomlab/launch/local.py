"""Processes on this machine."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from typing import Annotated

from loomlab.launch.base import Ended, Launch, Task
from loomlab.launch.process import send, start


class Local(Launch):
    """On this machine, each job a process of its own, `n_parallel` at a time."""

    def __init__(
        self,
        n_parallel: Annotated[int, "[1, inf)"] = 1,
        threads: Annotated[int | None, "[1, inf)"] = None,
    ) -> None:
        """`threads`: computing threads of each job; null divides the cores among the jobs."""
        self.n_parallel = n_parallel
        self.threads = threads
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def submit(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Start each task."""
        for task in tasks:
            self.running[task.key] = start(task)
        return {}

    def poll(self) -> list[Ended]:
        """Those that ended."""
        codes = {key: process.poll() for key, process in self.running.items()}
        ended = [Ended(key, code) for key, code in codes.items() if code is not None]
        for end in ended:
            del self.running[end.key]
        return ended

    def stop(self, kill: bool) -> None:
        """Signal every process, and its whole session when they are to go at once."""
        for process in self.running.values():
            send(process, signal.SIGKILL if kill else signal.SIGTERM)
