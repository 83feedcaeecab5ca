"""A task as a child process, for engines that run Python functions.

The job is never run inside the engine's own worker: what kills it must not take the worker down.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from loomlab.launch.base import Ended, Task

LOOK_SECONDS = 0.2  # how often a worker looks after its child


class Orders:
    """A file by which a sweep tells workers, wherever they run, to end their children.

    A worker has no other ear in common for all engines; the sweep's folder is there for each.
    """

    NAMES = {"save": signal.SIGTERM, "kill": signal.SIGKILL}

    def __init__(self, folder: Path) -> None:
        """`folder`: the sweep's. The name is new for every parent, so no old order is obeyed."""
        self.path = folder / f".orders-{os.getpid()}-{time.time_ns()}"

    def give(self, kill: bool) -> None:
        """Tell all workers; those that start a task later hear it, too."""
        beside = self.path.with_suffix(".new")
        beside.write_text("kill" if kill else "save")
        beside.replace(self.path)

    def heard(self) -> signal.Signals | None:
        """What was ordered, if anything was."""
        try:
            return self.NAMES[self.path.read_text()]
        except FileNotFoundError:
            return None

    def withdraw(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


def start(task: Task, new_session: bool = True) -> subprocess.Popen[bytes]:
    """Start a task; in a session of its own Ctrl-C of the terminal reaches the sweep alone."""
    task.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with task.log.open("ab") as log:
        return subprocess.Popen(
            task.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=task.cwd,
            env={**os.environ, **task.environment}, start_new_session=new_session,
        )  # fmt: skip


def send(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal a task that `start` gave a session: all of it if it is to be killed."""
    if process.poll() is None:
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)


def run(task: Task, orders: Orders) -> Ended:
    """Run a task to its end, passing on what is ordered; called in a worker of an engine."""
    try:
        process = start(task)
    except OSError as error:
        return Ended(task.key, None, f"could not be started: {error}")
    return Ended(task.key, wait_for(process, orders))


def wait_for(process: subprocess.Popen[bytes], orders: Orders | None) -> int:
    """Wait for the end of a task, passing on what is ordered meanwhile; its exit code."""
    obeyed = None
    while (code := process.poll()) is None:
        time.sleep(LOOK_SECONDS)
        ordered = orders.heard() if orders else None
        if ordered is not None and ordered != obeyed:  # SIGTERM twice would end it unsaved
            send(process, ordered)
            obeyed = ordered
    return code
