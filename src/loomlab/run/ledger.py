"""The ledger of a sweep: what each of its jobs is, where it stands and how it ended.

One SQLite file in the sweep's folder, in WAL mode, written by the parent and by every job.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

LEDGER = "ledger.sqlite"
BUSY_SECONDS = 30.0  # how long a writer waits for another

PENDING, RUNNING, DONE, FAILED = "pending", "running", "done", "failed"
PRUNED, REFUSED, INTERRUPTED = "pruned", "refused", "interrupted"
ENDED = (DONE, PRUNED, REFUSED)  # states that giving the command again leaves alone
PRUNE, GO_ON = "prune", "go on"  # verdicts on a report
JUDGED = "judged"  # in the definition: the metric that running jobs report, if any
TRIAL = "LOOM_TRIAL"  # variable of a job's process: (ledger's folder, key, that metric) as JSON

SCHEMA = """
create table if not exists definition (name text primary key, value text not null);
create table if not exists jobs (
  key text primary key,            -- hash of what decides the result
  number integer not null unique,  -- position in the sweep
  folder text not null,            -- below the sweep's folder
  overrides text not null,         -- JSON list
  differs text not null,           -- JSON object: the settings that tell the jobs apart
  state text not null,
  tokens integer,                  -- of the whole budget, where the config tells
  attempts integer not null default 0,
  host text, pid integer, process_start real, engine_id text,
  heartbeat real, started real, ended real,
  error_type text, message text, log_tail text,
  metric text, value real          -- what the run is compared by, and its best
);
create table if not exists reports (
  key text not null, step integer not null, value real, verdict text,
  primary key (key, step)          -- held-out numbers told during training, and what they led to
);
"""


@dataclass(frozen=True)
class Job:
    """One row of the ledger."""

    key: str
    number: int
    folder: str
    overrides: list[str]
    differs: dict[str, str]
    state: str = PENDING
    tokens: int | None = None
    attempts: int = 0
    host: str | None = None
    pid: int | None = None
    process_start: float | None = None
    engine_id: str | None = None
    heartbeat: float | None = None
    started: float | None = None
    ended: float | None = None
    error_type: str | None = None
    message: str | None = None
    log_tail: str | None = None
    metric: str | None = None
    value: float | None = None

    @property
    def name(self) -> str:
        """Number and what differs, for a line on the screen."""
        settings = " ".join(f"{key}={value}" for key, value in self.differs.items())
        return f"{self.number:03d} {settings}".rstrip()


COLUMNS = tuple(field.name for field in fields(Job))
AS_JSON = ("overrides", "differs")


class Ledger:
    """Opens (and makes) the ledger of one sweep folder. Every call is a transaction of its own."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.path = self.folder / LEDGER
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = not self.path.exists()
        with self._open() as connection:
            connection.execute("pragma journal_mode = wal")
            connection.executescript(SCHEMA)
        if fresh:
            self.path.chmod(0o600)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection:
            connection.row_factory = sqlite3.Row
            with connection:
                yield connection

    # -- what the sweep is

    def definition(self) -> dict[str, Any]:
        """What the sweep was started with; empty for a new one."""
        with self._open() as connection:
            rows = connection.execute("select name, value from definition").fetchall()
        return {row["name"]: json.loads(row["value"]) for row in rows}

    def define(self, definition: dict[str, Any]) -> None:
        """Record what the sweep is started with."""
        rows = [(name, json.dumps(value)) for name, value in definition.items()]
        with self._open() as connection:
            connection.executemany("insert or replace into definition values (?, ?)", rows)

    # -- its jobs

    def add(self, jobs: list[Job]) -> None:
        """Add jobs; one whose key is there already is left as it is."""
        places = ", ".join("?" for _ in COLUMNS)
        rows = [[_stored(name, getattr(job, name)) for name in COLUMNS] for job in jobs]
        with self._open() as connection:
            connection.executemany(
                f"insert or ignore into jobs ({', '.join(COLUMNS)}) values ({places})", rows
            )

    def jobs(self) -> list[Job]:
        """All jobs by number."""
        with self._open() as connection:
            rows = connection.execute("select * from jobs order by number").fetchall()
        return [_job(row) for row in rows]

    def job(self, key: str) -> Job:
        """One job.

        Raises:
            KeyError: there is none of that key.
        """
        with self._open() as connection:
            row = connection.execute("select * from jobs where key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return _job(row)

    def update(self, key: str, only_if: tuple[str, ...] = (), **values: Any) -> bool:
        """Set columns of a job, if it is in one of the states `only_if` (or in any).

        Returns whether the job was in such a state: of two who try, one gets True.
        """
        names = [f"{name} = ?" for name in values]
        condition = f" and state in ({', '.join('?' for _ in only_if)})" if only_if else ""
        with self._open() as connection:
            done = connection.execute(
                f"update jobs set {', '.join(names)} where key = ?{condition}",
                [*(_stored(name, value) for name, value in values.items()), key, *only_if],
            )
        return done.rowcount == 1

    def beat(self, key: str) -> None:
        """Say that a running job is alive."""
        self.update(key, (RUNNING,), heartbeat=time.time())

    # -- held-out numbers during training, for pruning

    def report(self, key: str, step: int, value: float) -> None:
        """Tell a held-out number of a running job."""
        with self._open() as connection:
            connection.execute(
                "insert or replace into reports values (?, ?, ?, null)", (key, step, value)
            )

    def reports(self, key: str | None = None) -> list[tuple[str, int, float | None, str | None]]:
        """(key, step, value, verdict) of one job or of all, by step; None for no number."""
        with self._open() as connection:
            rows = connection.execute(
                "select * from reports where ? is null or key = ? order by step", (key, key)
            ).fetchall()
        return [(r["key"], r["step"], r["value"], r["verdict"]) for r in rows]

    def judge(self, key: str, step: int, verdict: str) -> None:
        """Answer a report: GO_ON or PRUNE."""
        with self._open() as connection:
            connection.execute(
                "update reports set verdict = ? where key = ? and step = ?", (verdict, key, step)
            )


def find_sweeps(folder: Path) -> list[Path]:
    """Every folder of a sweep at or below a folder, by path.

    Runs that go on make and remove folders meanwhile, on which `rglob` would stumble.
    """
    return sorted(Path(path) for path, _, files in os.walk(folder) if LEDGER in files)


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (folder / LEDGER).is_file()


def _stored(name: str, value: Any) -> Any:
    return json.dumps(value) if name in AS_JSON else value


def _job(row: sqlite3.Row) -> Job:
    values = {name: row[name] for name in COLUMNS}
    return Job(**{**values, **{name: json.loads(row[name]) for name in AS_JSON}})
