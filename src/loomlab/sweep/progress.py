"""How far the jobs of a sweep are, read from what their runs write while they go on."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from loomlab.errors import InputError
from loomlab.run.folder import CONFIG, RunFolder
from loomlab.run.ledger import RUNNING, Job
from loomlab.run.metrics_reading import as_numbers

HELD_OUT = "val/"
PAID_IN = ("tokens", "flops", "seconds")  # columns that may be a budget, too


@dataclass(frozen=True)
class Progress:
    """Where a job is; None for what is not known (yet)."""

    step: int | None = None
    metric: str | None = None
    value: float | None = None  # the newest of the metric
    left: float | None = None  # seconds of training


@dataclass
class _Reading:
    """What was read of one metrics.csv, and where to read on."""

    inode: int = 0
    offset: int = 0
    names: list[str] = field(default_factory=list)
    newest: dict[str, float] = field(default_factory=dict)
    budget: dict[str, float] | None = None
    metric: str | None = None


class Watch:
    """Reads metrics.csv of running jobs, each line once."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the sweep's."""
        self.folder = folder
        self._readings: dict[str, _Reading] = {}

    def of(self, job: Job) -> Progress:
        """How far a job is: of one that is not running, what the ledger says of its end."""
        if job.state != RUNNING:
            return Progress(metric=job.metric, value=job.value)
        run = RunFolder(self.folder / job.folder)
        reading = self._readings.setdefault(job.key, _Reading())
        _read_on(reading, run.metrics)
        if "step" not in reading.newest:
            return Progress()
        if reading.budget is None:
            reading.budget, reading.metric = _budget(run, job), _compared_by(run)
        newest = reading.newest
        metric = reading.metric or next((n for n in newest if n.startswith(HELD_OUT)), None)
        value = newest.get(metric) if metric else None
        return Progress(int(newest["step"]), metric, value, _left(newest, reading.budget))


def _read_on(reading: _Reading, path: Path) -> None:
    """Take up whole lines that are new; all of them where the file was written anew."""
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            if about.st_ino != reading.inode or about.st_size < reading.offset:
                reading.inode, reading.offset, reading.names = about.st_ino, 0, []
            file.seek(reading.offset)
            text = file.read()
    except FileNotFoundError:
        return
    whole = text[: text.rfind(b"\n") + 1]
    reading.offset += len(whole)
    rows = list(csv.reader(whole.decode(errors="replace").splitlines()))
    if not reading.names and rows:
        reading.names = rows.pop(0)
    for row in rows:
        if len(row) == len(reading.names):
            reading.newest |= as_numbers(reading.names, row)
        else:  # a file with other columns, which happens to have the inode of an earlier one
            reading.inode = 0


def _budget(run: RunFolder, job: Job) -> dict[str, float]:
    """What the run may cost in all, by column."""
    found = {} if job.tokens is None else {"tokens": float(job.tokens)}
    try:
        config = yaml.safe_load((run.path / CONFIG).read_text(encoding="utf-8"))
        given: dict[str, Any] = dict(config["budget"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return found
    known = {k: float(v) for k in PAID_IN if isinstance(v := given.get(k), int | float)}
    return known | found


def _compared_by(run: RunFolder) -> str | None:
    """What the run is compared by, as it says itself."""
    try:
        name = run.summary().get("metric")
    except InputError:
        return None
    return None if name is None else str(name)


def _left(newest: dict[str, float], budget: dict[str, float]) -> float | None:
    """Seconds until a budget is spent, at the pace there was so far."""
    for name in PAID_IN:
        spent = newest.get(name, 0.0)
        if name in budget and spent > 0:
            return max(0.0, newest["seconds"] * (budget[name] / spent - 1.0))
    return None
