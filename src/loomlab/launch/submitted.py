"""A task as submitit runs it: saved and queued again when its time is up.

submitit writes what it runs to disk as pickles, and what that returned beside it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loomlab.launch.base import ENGINE_ID, Ended, Task
from loomlab.launch.process import Orders, start, wait_for

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission, JobPaths

FOLDER = "submitit"  # below the sweep's


class Submitted:
    """Runs a task in a submitit job; the job's result is the task's exit code."""

    def __init__(self, task: Task, orders: Orders | None = None) -> None:
        """`orders`: heard of beside the signals that the engine itself sends to all processes."""
        self.task = task
        self.orders = orders
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Run the task to its end."""
        import submitit

        environment = {**self.task.environment, ENGINE_ID: submitit.JobEnvironment().job_id}
        task = _deaf(replace(self.task, environment=environment))
        # In the session of an engine that signals all processes, so that it finds this one.
        self.process = start(task, new_session=self.orders is not None)
        return wait_for(self.process, self.orders)

    def checkpoint(self) -> DelayedSubmission:
        """Called by submitit when the time is up: let the job save; the rest is done next time."""
        import submitit

        if self.process is not None:
            # This may have interrupted `poll`, which holds a lock: neither is used here.
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGTERM)
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        return submitit.helpers.DelayedSubmission(Submitted(self.task, self.orders))


def _deaf(task: Task) -> Task:
    """The task with SIGUSR2 ignored: Slurm sends it to every process when the time is up.

    It is meant for submitit alone; anything else would die of it before it could save.
    """
    command = ["/bin/sh", "-c", 'trap "" USR2; exec "$0" "$@"', *task.command]
    return replace(task, command=command)


def outcome(key: str, paths: JobPaths) -> Ended | None:
    """How a task ended, as its submitit job wrote it; None as long as there is nothing."""
    try:
        content: tuple[str, Any] = pickle.loads(paths.result_pickle.read_bytes())
    except (FileNotFoundError, EOFError):
        return None
    kind, value = content
    if kind == "success":
        return Ended(key, int(value))
    return Ended(key, None, str(value).strip().splitlines()[-1].partition(": ")[2] or str(value))
