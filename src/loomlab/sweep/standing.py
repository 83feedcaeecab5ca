"""The table of a sweep's jobs: on demand, and kept up to date on a terminal while they run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from loomlab.run.ledger import ENDED, FAILED, PENDING, RUNNING, Job
from loomlab.sweep.progress import Progress, Watch
from loomlab.sweep.words import counted, duration, outcome

LOOK_SECONDS = 1.0  # between two looks at the runs, whose processor this is
ENDED_SHOWN, COMING_SHOWN = 5, 3  # rows of a live table beside those of running jobs


def standing(
    jobs: Sequence[Job], progress: Callable[[Job], Progress], of: Sequence[Job] | None = None
) -> Table:
    """A row for each job: its settings, how far it is, and how it stands.

    `of`: all jobs, where `jobs` are only those to be shown.
    """
    everything = of or jobs
    keys = list(dict.fromkeys(key for job in everything for key in job.differs))
    far = [progress(job) for job in jobs]
    metrics = {p.metric for p in far if p.value is not None}
    heading = next(iter(metrics)) if len(metrics) == 1 else "metric"
    table = Table(title=_title(everything), title_justify="left")
    for name in ("job", *keys, "step", str(heading), "time left", "attempts", "how it stands"):
        table.add_column(escape(name))
    for job, one in zip(jobs, far, strict=True):
        cells = [escape(job.differs.get(key, "-")) for key in keys]
        table.add_row(
            f"{job.number:03d}", *cells, "-" if one.step is None else f"{one.step:,}",
            _number(one, len(metrics) > 1), "-" if one.left is None else duration(one.left),
            str(job.attempts), escape(outcome(replace(job, value=None))),
        )  # fmt: skip
    return table


def _title(jobs: Sequence[Job]) -> str:
    counts = Counter(job.state for job in jobs).most_common()
    return f"{counted(len(jobs))}: {', '.join(f'{number} {state}' for state, number in counts)}"


def _number(one: Progress, named: bool) -> str:
    if one.value is None:
        return "-"
    return f"{one.metric} {one.value:.4g}" if named else f"{one.value:.4g}"


class Board:
    """The live table below the lines of a sweep; on nothing but a terminal it is not there."""

    def __init__(self, console: Console, watch: Watch) -> None:
        self.console = console
        self.watch = watch
        self.live: Live | None = None
        self.looked = 0.0

    def open(self) -> None:
        """Begin to show it, if this is a terminal that can move its cursor."""
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self.live = Live(
                console=self.console, auto_refresh=False, transient=True, redirect_stdout=False,
                redirect_stderr=False,
            )  # fmt: skip
            self.live.start()

    def look(self, jobs: Callable[[], Sequence[Job]], now: bool = False) -> None:
        """Draw it again, at most once a second unless it is to be `now`."""
        if self.live is None or (not now and time.monotonic() - self.looked < LOOK_SECONDS):
            return
        self.looked = time.monotonic()
        everything = jobs()
        table = standing(shown_of(everything), self.watch.of, everything)
        self.live.update(table, refresh=True)

    def close(self) -> None:
        """Take it away: what is left are the lines."""
        if self.live is not None:
            self.live.stop()
            self.live = None


def shown_of(jobs: Sequence[Job]) -> list[Job]:
    """Of many jobs those that run, the last that ended and the next to come, by number."""
    over = sorted((j for j in jobs if j.state in (*ENDED, FAILED)), key=lambda j: j.ended or 0.0)
    coming = [j for j in jobs if j.state not in (*ENDED, FAILED, RUNNING)]
    first = sorted(coming, key=lambda j: j.state != PENDING)[:COMING_SHOWN]
    found = [*over[-ENDED_SHOWN:], *(j for j in jobs if j.state == RUNNING), *first]
    return sorted(found, key=lambda j: j.number)
