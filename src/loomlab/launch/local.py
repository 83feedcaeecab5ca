"""Processes on this machine."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from loomlab.launch.base import Ended, Launch, Task
from loomlab.launch.forked import Forked, ForkServer, can_be_forked, can_fork
from loomlab.launch.process import send, start


class Local(Launch):
    """On this machine, each job a process of its own, `n_parallel` at a time."""

    def __init__(
        self,
        n_parallel: Annotated[int, "[1, inf)"] = 1,
        threads: Annotated[int | None, "[1, inf)"] = None,
        fork: bool | None = None,
    ) -> None:
        """`threads`: computing threads of each job; null divides the cores among the jobs.

        `fork`: imports are done once, and jobs are forked from there; false starts each from
        nothing, null does so where there is a GPU or no Linux.
        """
        self.n_parallel = n_parallel
        self.threads = threads
        self.fork = can_fork() if fork is None else fork
        self.running: dict[str, subprocess.Popen[bytes] | Forked] = {}
        self.server: ForkServer | None = None

    def open(self, folder: Path) -> None:
        """Get ready to fork."""
        self.server = ForkServer(self.threads_each()) if self.fork else None

    def submit(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Start each task."""
        for task in tasks:
            server = self.server if can_be_forked(task) else None
            self.running[task.key] = server.start(task) if server else start(task)
        return {}

    def poll(self) -> list[Ended]:
        """Those that ended."""
        gone = self._hear() if self.server else []
        codes = {key: process.poll() for key, process in self.running.items()}
        ended = [Ended(key, code) for key, code in codes.items() if code is not None]
        for end in ended:
            del self.running[end.key]
        return gone + ended

    def _hear(self) -> list[Ended]:
        """What the server says; if it is gone, jobs to come are started from nothing."""
        assert self.server is not None
        self.server.hear()
        gone = []
        for job in self.server.lost():
            del self.running[job.task.key]
            if job.pid is None:
                self.server = None
                self.submit([job.task])
            else:
                gone.append(Ended(job.task.key, None))
        return gone

    def stop(self, kill: bool) -> None:
        """Signal every process, and its whole session when they are to go at once."""
        number = signal.SIGKILL if kill else signal.SIGTERM
        for process in self.running.values():
            if isinstance(process, Forked):
                process.send_signal(number)
            else:
                send(process, number)

    def close(self) -> None:
        """Let go of the server."""
        if self.server is not None:
            self.server.close()
