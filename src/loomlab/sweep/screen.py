"""What a sweep prints: the plan, a line when a job starts or ends, and the table at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loomlab.run.ledger import (
    DONE,
    FAILED,
    INTERRUPTED,
    PENDING,
    PRUNED,
    REFUSED,
    RUNNING,
    Job,
)

SHOWN = 40  # rows of a plan; the rest is counted


class Screen:
    """Prints to the console, whole lines only, so that a log file of it reads well."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.total = 0  # jobs to come, where the ledger does not hold them all from the start

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False)

    def plan(self, jobs: Sequence[Job], seconds: Sequence[float | None], n_parallel: int) -> None:
        """The jobs that are to be run, what tells them apart, and what they will take."""
        keys = list(dict.fromkeys(k for job in jobs for k in job.differs))
        table = Table(title=f"{len(jobs)} jobs", title_justify="left")
        for heading in ("job", *keys, "tokens", "time"):
            table.add_column(heading)
        for job, expected in list(zip(jobs, seconds, strict=True))[:SHOWN]:
            cells = [escape(job.differs.get(key, "-")) for key in keys]
            table.add_row(f"{job.number:03d}", *cells, _count(job.tokens), duration(expected))
        self.console.print(table)
        if len(jobs) > SHOWN:
            self.say(f"... and {len(jobs) - SHOWN} more")
        tokens = [job.tokens for job in jobs if job.tokens is not None]
        known = [s for s in seconds if s is not None]
        if len(known) == len(jobs):
            at_once = min(n_parallel, len(jobs)) or 1
            total = f"about {duration(sum(known) / at_once)} with {at_once} at a time"
        else:
            total = f"the time of {len(jobs) - len(known)} is unknown, none of their kind ran here"
        self.say(f"in all {sum(tokens):,} tokens; {total}")

    def standing(self, jobs: Sequence[Job]) -> None:
        """Every job of a sweep with its state."""
        counts = Counter(job.state for job in jobs)
        title = ", ".join(f"{number} {state}" for state, number in counts.most_common())
        keys = list(dict.fromkeys(k for job in jobs for k in job.differs))
        table = Table(title=f"{len(jobs)} jobs: {title}", title_justify="left")
        for heading in ("job", *keys, "attempts", "how it stands"):
            table.add_column(heading)
        for job in jobs:
            cells = [escape(job.differs.get(key, "-")) for key in keys]
            table.add_row(f"{job.number:03d}", *cells, str(job.attempts), escape(outcome(job)))
        self.console.print(table)

    def started(self, job: Job) -> None:
        """A job has its process, or its place in the queue of an engine."""
        what = f"submitted as {job.engine_id}" if job.engine_id else "started"
        self.say(f"{job.name}: {what}" + (" again" if job.attempts else ""))

    def ended(self, job: Job, jobs: Sequence[Job]) -> None:
        """A job ended, and how the sweep stands."""
        counts = {state: sum(j.state == state for j in jobs) for state in (DONE, PRUNED, FAILED)}
        stand = f"{counts[DONE] + counts[PRUNED]} of {max(self.total, len(jobs))} done"
        stand += f", {counts[FAILED]} failed" if counts[FAILED] else ""
        self.say(f"{job.name}: {outcome(job)} ({stand})")
        if job.state == FAILED and job.log_tail:
            self.say("\n".join(f"    {line}" for line in job.log_tail.splitlines()[-5:]))

    def failures(self, jobs: Sequence[Job]) -> None:
        """Every job that failed or was refused, with the reason, once more at the end."""
        bad = [job for job in jobs if job.state in (FAILED, REFUSED)]
        for job in bad:
            self.say(f"{job.name}: {outcome(job)}")


def outcome(job: Job) -> str:
    """How a job ended, in words."""
    took = duration((job.ended or time.time()) - job.started) if job.started else "no time"
    if job.state in (PENDING, RUNNING):
        return job.state if job.state == PENDING else f"running for {took}"
    if job.state in (DONE, PRUNED):
        number = "" if job.value is None else f", {job.metric} {job.value:.4g}"
        return f"{job.state} in {took}{number}"
    if job.state == INTERRUPTED:
        return "interrupted, goes on from its last checkpoint"
    kind = f"{job.error_type}: " if job.error_type else ""
    return f"{job.state}: {kind}{job.message or ''}".rstrip(": ")


def duration(seconds: float | None) -> str:
    """Seconds as a person says them."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"
