"""What Slurm says of the jobs of one name: its commands, and the states it knows."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

# All other states are of jobs that have ended.
LIVE = ("PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "REQUEUED", "REQUEUE_FED",
        "REQUEUE_HOLD", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT",
        "RESV_DEL_HOLD")  # fmt: skip
SQUEUE = ["squeue", "--noheader", "--array", "--states=all",
          "--Format=JobArrayID:64,State:32,exit_code:16"]  # fmt: skip


@dataclass(frozen=True)
class State:
    """What Slurm says of a job."""

    name: str
    exit_code: int | None = None  # negative for a signal

    @property
    def live(self) -> bool:
        """Whether it runs or will run."""
        return self.name in LIVE


class Queue:
    """Jobs of one name in Slurm's queue, asked for seldom: all sweeps of a cluster ask."""

    def __init__(self, name: str, seconds: float) -> None:
        """`seconds`: how old an answer may be."""
        self.name = name
        self.seconds = seconds
        self.states: dict[str, State] = {}
        self.asked = 0.0  # monotonic time of the last answer
        self._tried = 0.0

    def refresh(self, seconds: float | None = None) -> None:
        """Ask again if the answer is older than that; one that fails leaves what was known."""
        now = time.monotonic()
        if self._tried and now - self._tried < (self.seconds if seconds is None else seconds):
            return
        self._tried = now
        command = [*SQUEUE, f"--user={getpass.getuser()}", f"--name={self.name}"]
        lines = _lines(command)
        if lines is None:
            return
        self.asked = now
        # Slurm forgets a job minutes after its end: what was heard of one that is over stays.
        self.states = {i: s for i, s in self.states.items() if not s.live}
        for line in lines:
            words = line.split()
            if len(words) == 3:
                self.states[words[0]] = _state(words[1], words[2])

    def accounting(self, job_id: str) -> State | None:
        """What Slurm's accounting says of a job; None without one."""
        command = ["sacct", f"--jobs={job_id}", "--allocations", "--noheader", "--parsable2",
                   "--format=State,ExitCode"]  # fmt: skip
        for line in _lines(command) or []:
            name, _, code = line.partition("|")
            return _state(name.split()[0], code)  # CANCELLED by 1000
        return None

    def cancel(self, *options: str) -> None:
        """`scancel` of the jobs of that name."""
        command = ["scancel", f"--user={getpass.getuser()}", f"--name={self.name}", *options]
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL)


def _state(name: str, code: str) -> State:
    exit_code = _exit_code(code)
    if name == "CANCELLED" and not exit_code:  # while it waited
        exit_code = -signal.SIGTERM
    return State(name, exit_code)


def _exit_code(text: str) -> int | None:
    """From `CODE:SIGNAL`, as most of Slurm prints it, or the status of wait(2), as squeue does."""
    code, _, number = text.partition(":")
    with suppress(ValueError, OverflowError):
        if number:
            return -int(number) if int(number) else int(code)
        return os.waitstatus_to_exitcode(int(code))
    return None


def _lines(command: list[str]) -> list[str] | None:
    """What a command prints; None if it fails, as when the controller does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines() if done.returncode == 0 else None


@contextmanager
def outside_of_a_job() -> Iterator[None]:
    """For a sweep that itself runs in a Slurm job: what it submits must not inherit that job."""
    if "SLURM_JOB_ID" not in os.environ:
        yield
        return
    of_the_job = [
        name
        for name in os.environ
        if name.startswith(("SLURM", "SRUN_", "SUBMITIT_")) and name != "SLURM_CONF"
    ]
    inherited = {name: os.environ.pop(name) for name in of_the_job}
    try:
        yield
    finally:
        os.environ.update(inherited)
