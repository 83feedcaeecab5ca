"""Runs of folders as plain rows, those that run or failed among them."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from loomlab.errors import InputError, first_line
from loomlab.report.row import Row, read_row
from loomlab.report.settings import without
from loomlab.run.folder import RunFolder, find_runs
from loomlab.run.ledger import LEDGER, Job, Ledger, find_sweeps, is_sweep


def collect(folders: Iterable[Path]) -> list[Row]:
    """Every run at or below some folders, and every job of their sweeps; each once.

    The order is that of the folders, of jobs within a sweep, of paths else.

    Raises:
        InputError: a folder does not exist, or a ledger cannot be read.
    """
    rows: dict[tuple[Path, int], Row] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder: give a run, a sweep or a folder of them")
        for row in _rows_below(folder):
            number = row.job.number if row.job else -1
            rows.setdefault((row.folder.path.resolve(), number), row)
    return _as_their_models_have_it(_told_apart(list(rows.values())))


def _rows_below(folder: Path) -> Iterator[Row]:
    runs = {run.path: run for run in find_runs(folder)}
    for sweep in find_sweeps(folder):
        for job in _jobs(sweep):
            name = f"{job.number:03d}"
            path = sweep / (job.folder or name)  # one that was refused has no folder
            runs.pop(path, None)
            yield read_row(name, RunFolder(path), job)
    for path, run in runs.items():
        inside = path.relative_to(folder).as_posix()
        yield read_row(path.resolve().name if inside == "." else inside, run, _job_of(path))


def _jobs(sweep: Path) -> list[Job]:
    try:
        return Ledger(sweep).jobs()
    except sqlite3.Error as error:
        raise InputError(f"{sweep / LEDGER} cannot be read: {first_line(error)}") from error


def _job_of(path: Path) -> Job | None:
    """The ledger's row of a run that is looked at without its sweep."""
    sweep = path.resolve().parent
    jobs = _jobs(sweep) if is_sweep(sweep) else []
    return next((job for job in jobs if job.folder == path.resolve().name), None)


def _told_apart(rows: list[Row]) -> list[Row]:
    """With longer names where several sweeps have a run of the same name."""
    count = Counter(row.name for row in rows)
    parents = [row.folder.path.resolve().parent.name for row in rows]
    return [
        dataclasses.replace(row, name=f"{parent}/{row.name}") if count[row.name] > 1 else row
        for row, parent in zip(rows, parents, strict=True)
    ]


def _as_their_models_have_it(rows: list[Row]) -> list[Row]:
    """Leave out settings of axes that a run's model brings itself, also of unfinished runs."""
    owned = {row.choice.get("model"): row.owns for row in rows if row.owns}
    settings = [without(row.settings, owned.get(row.choice.get("model"), ())) for row in rows]
    return [dataclasses.replace(r, settings=s) for r, s in zip(rows, settings, strict=True)]
