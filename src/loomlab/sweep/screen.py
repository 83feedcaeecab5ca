"""What a sweep prints: the plan, a line when a job starts or ends, and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loomlab.run.ledger import DONE, FAILED, PRUNED, REFUSED, Job, Ledger
from loomlab.run.speed_record import Cost
from loomlab.sweep.progress import Watch
from loomlab.sweep.standing import Board, standing
from loomlab.sweep.words import counted, duration, flops, outcome

SHOWN = 40  # rows of a plan; the rest is counted


class Screen:
    """Prints to the console whole lines, so that a log file of it reads well.

    On a terminal a table of the jobs stands below them while they run.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.total = 0  # jobs to come, where the ledger does not hold them all from the start
        self.board: Board | None = None

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False)

    def plan(self, jobs: Sequence[Job], costs: Sequence[Cost], n_parallel: int) -> None:
        """The jobs that are to be run, what tells them apart, and what they will take."""
        keys = list(dict.fromkeys(k for job in jobs for k in job.differs))
        table = Table(title=counted(len(jobs)), title_justify="left")
        for heading in ("job", *keys, "tokens", "FLOPs", "time"):
            table.add_column(heading)
        for job, taken in list(zip(jobs, costs, strict=True))[:SHOWN]:
            cells = [escape(job.differs.get(key, "-")) for key in keys]
            table.add_row(f"{job.number:03d}", *cells, _count(job.tokens), flops(taken.flops),
                          duration(taken.seconds))  # fmt: skip
        self.console.print(table)
        if len(jobs) > SHOWN:
            self.say(f"... and {len(jobs) - SHOWN} more")
        self.say(in_all(jobs, costs, n_parallel))

    def standing(self, ledger: Ledger) -> None:
        """Every job of a sweep with its state, and how far it is."""
        self.console.print(standing(ledger.jobs(), Watch(ledger.folder).of))

    @contextmanager
    def watching(self, ledger: Ledger) -> Iterator[None]:
        """Within, a table of the jobs stands below the lines, if this is a terminal."""
        self.board = Board(self.console, Watch(ledger.folder))
        self.board.open()
        try:
            yield
        finally:
            self.board.close()

    def look(self, ledger: Ledger, now: bool = False) -> None:
        """Bring that table up to date; called every moment."""
        if self.board is not None:
            self.board.look(ledger.jobs, now)

    def started(self, job: Job) -> None:
        """A job has its process, or its place in the queue of an engine; the table tells, too."""
        if self.board is not None and self.board.live is not None:
            return
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


def in_all(jobs: Sequence[Job], costs: Sequence[Cost], n_parallel: int) -> str:
    """What all jobs take together, as far as it is known."""
    tokens = sum(job.tokens for job in jobs if job.tokens is not None)
    operations = [cost.flops for cost in costs if cost.flops is not None]
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    told = f"in all {tokens:,} tokens"
    if operations and len(operations) == len(jobs):
        told += f", {flops(sum(operations))} FLOPs"
    if len(seconds) < len(jobs):
        unknown = len(jobs) - len(seconds)
        return f"{told}; the time of {unknown} is unknown, none of their kind ran here"
    at_once = min(n_parallel, len(jobs)) or 1
    return f"{told}; about {duration(sum(seconds) / at_once)} with {at_once} at a time"


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"
