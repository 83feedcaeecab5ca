"""How a job stands and how long it takes, in words."""

from __future__ import annotations

import time

from loomlab.run.ledger import DONE, INTERRUPTED, PENDING, PRUNED, RUNNING, Job
from loomlab.sweep.processes import SILENT_SECONDS


def outcome(job: Job) -> str:
    """How a job ended, in words."""
    took = duration((job.ended or time.time()) - job.started) if job.started else "no time"
    if job.state == PENDING:
        return job.state
    if job.state == RUNNING:
        silent = time.time() - job.heartbeat if job.heartbeat else 0.0
        lost = f", not heard of for {duration(silent)}" if silent > SILENT_SECONDS else ""
        return f"running for {took}{lost}"
    if job.state in (DONE, PRUNED):
        number = "" if job.value is None else f", {job.metric} {job.value:.4g}"
        return f"{job.state} in {took}{number}"
    if job.state == INTERRUPTED:
        return "interrupted, goes on from its last checkpoint"
    kind = f"{job.error_type}: " if job.error_type else ""
    return f"{job.state}: {kind}{job.message or ''}".rstrip(": ")


def counted(number: int, what: str = "job") -> str:
    """So many of them, as a person says it."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def flops(number: float | None) -> str:
    """Operations as powers of ten."""
    return "unknown" if number is None else f"{number:.2g}"
