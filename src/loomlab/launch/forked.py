"""Jobs that are forked from a process with the imports done: how a sweep starts and hears them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from loomlab.launch.base import Task
from loomlab.launch.fork_server import Request

IMPORTED = (
    *("pytorch_lightning", "wandb", "loomlab.run.session"),
    *("loomlab.entry.job", "loomlab.sweep.job"),
)
PYTHON = [sys.executable, "-m"]
DEVICES, GPUS = Path("/dev"), "nvidia[0-9]*"


def can_fork() -> bool:
    """Whether a process may be forked after the imports: on Linux, where there is no GPU.

    The driver of a GPU does not survive a fork once any library has only asked for it.
    """
    return sys.platform == "linux" and not any(DEVICES.glob(GPUS))


def can_be_forked(task: Task) -> bool:
    """Whether a task is `python -m MODULE ...` of this Python."""
    return list(task.command[:2]) == PYTHON and len(task.command) > 2


class Forked:
    """A job, with what a sweep needs of subprocess.Popen."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.pid: int | None = None  # known once it has been started
        self.returncode: int | None = None
        self._wanted: int | None = None

    def started(self, pid: int) -> None:
        """It runs; what it was sent before reaches it now."""
        self.pid = pid
        if self._wanted is not None:
            self.send_signal(self._wanted)

    def poll(self) -> int | None:
        """How it ended, or None."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Signal it, all of its session if it is to be killed; one to come gets it at once."""
        if self.pid is None:
            self._wanted = number
        elif self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                kill = os.killpg if number == signal.SIGKILL else os.kill
                kill(self.pid, number)


class ForkServer:
    """The process that jobs are forked from; it is started with the first of them."""

    def __init__(self, threads: int) -> None:
        """`threads`: what OpenMP is told when torch is loaded; a fork cannot change it."""
        self.threads = str(threads)
        self._process: subprocess.Popen[bytes] | None = None
        self._jobs: list[Forked] = []
        self._kept = b""

    def start(self, task: Task) -> Forked:
        """Ask for a job."""
        if self._process is None:
            self._process = self._begin()
        job = Forked(task)
        self._jobs.append(job)
        task.log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **task.environment}
        _, _, module, *arguments = task.command
        request = Request(
            task.key, module, arguments, str(task.log.absolute()), task.cwd, environment
        )
        with contextlib.suppress(BrokenPipeError):  # `lost` tells
            stream(self._process.stdin).write(request.line())
        return job

    def _begin(self) -> subprocess.Popen[bytes]:
        threads = {"OMP_NUM_THREADS": self.threads, "MKL_NUM_THREADS": self.threads}
        process = subprocess.Popen(
            [*PYTHON, "loomlab.launch.fork_server", *IMPORTED], bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, **threads}, start_new_session=True,
        )  # fmt: skip
        os.set_blocking(stream(process.stdout).fileno(), False)
        return process

    def hear(self) -> None:
        """Take up what the process has said."""
        if self._process is None:
            return
        while piece := stream(self._process.stdout).read(65536):
            *lines, self._kept = (self._kept + piece).split(b"\n")
            for line in lines:
                self._take_up(json.loads(line))

    def _take_up(self, said: dict[str, Any]) -> None:
        if "key" in said:
            (job,) = (j for j in self._jobs if j.task.key == said["key"] and j.pid is None)
            job.started(said["pid"])
        else:
            (job,) = (j for j in self._jobs if j.pid == said["pid"])
            job.returncode = said["code"]
            self._jobs.remove(job)

    def lost(self) -> list[Forked]:
        """Jobs of a process that has ended itself: nobody will say any more how they do."""
        if self._process is None or self._process.poll() is None:
            return []
        self.hear()
        lost, self._jobs, self._process = self._jobs, [], None
        return lost

    def close(self) -> None:
        """End the process; jobs that still run go on."""
        if self._process is not None:
            stream(self._process.stdin).close()
            stream(self._process.stdout).close()
            self._process.wait()
            self._process = None


def stream(pipe: IO[bytes] | None) -> IO[bytes]:
    """A pipe that is there."""
    assert pipe is not None
    return pipe
