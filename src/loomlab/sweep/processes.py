"""Whether a job that the ledger calls running does run."""

from __future__ import annotations

import contextlib
import os
import socket
import time

from loomlab.launch.base import ENGINE_ID, Launch
from loomlab.measure.machine import process_start
from loomlab.run.ledger import Job

BEAT_SECONDS = 5.0
SILENT_SECONDS = 120.0  # a job elsewhere that has not been heard of for so long is given up


def runs_here(job: Job) -> bool:
    """Whether a job's process is one of this machine and still there."""
    here = job.host == socket.gethostname() and job.pid
    return bool(here) and process_start(job.pid or 0) == job.process_start


def is_alive(job: Job, launch: Launch) -> bool:
    """Ask the engine, if it has the job, else the machine, if it is this one, else its heartbeat.

    The engine first: it may be about to start a job again whose process is gone.
    """
    if job.engine_id and (known := launch.alive(job.engine_id)) is not None:
        return known
    if job.host == socket.gethostname() and job.pid:
        return runs_here(job)
    return time.time() - (job.heartbeat or 0.0) < SILENT_SECONDS


def signal_process(job: Job, number: int) -> None:
    """Send a signal to a job's process, if it is one of this machine and still there."""
    if job.pid and runs_here(job):
        with contextlib.suppress(ProcessLookupError):
            os.kill(job.pid, number)


def this_process() -> dict[str, object]:
    """Columns of the ledger that name this process."""
    return {
        "host": socket.gethostname(), "pid": os.getpid(),
        "process_start": process_start(os.getpid()), "heartbeat": time.time(),
        "engine_id": os.environ.get(ENGINE_ID),
    }  # fmt: skip
