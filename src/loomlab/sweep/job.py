"""One job inside its own process: says that it runs, stays heard of, and says how it ended."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from loomlab.compose.gate import check
from loomlab.errors import InputError
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import (
    DONE,
    ENDED,
    FAILED,
    INTERRUPTED,
    JUDGED,
    PRUNED,
    RUNNING,
    TRIAL,
    Job,
    Ledger,
)
from loomlab.run.prepared import kept_out
from loomlab.secrets import MASK, masked_text
from loomlab.sweep.processes import BEAT_SECONDS, is_alive, this_process

SECRET_OVERRIDES = "LOOM_SECRET_OVERRIDES"


def claim(ledger: Ledger, key: str) -> Job | None:
    """Take a job for this process; None if another one has it or it is done.

    Raises:
        InputError: the ledger has no such job.
    """
    try:
        job = ledger.job(key)
    except KeyError:
        raise InputError(f"{ledger.folder} has no job {key}: see `loom sweep status`") from None
    if job.state in ENDED or (job.state == RUNNING and _runs_elsewhere(job)):
        return None
    now: dict[str, Any] = {"started": time.time(), "ended": None, "message": None,
                           "error_type": None, "log_tail": None}  # fmt: skip
    taken = ledger.update(
        key, (job.state,), state=RUNNING, attempts=job.attempts + 1, **now, **this_process()
    )
    return ledger.job(key) if taken else None


def _runs_elsewhere(job: Job) -> bool:
    from loomlab.launch.base import ENGINE_ID, Launch

    if job.engine_id and job.engine_id == os.environ.get(ENGINE_ID):
        return False  # the engine started this very job again: what ran before is gone
    return job.pid != os.getpid() and is_alive(job, Launch())


def secrets_of(ledger: Ledger, job: Job) -> dict[str, Any]:
    """Values of a job's settings, by key, that its folder does not hold.

    Secrets that were typed come from the sweep, by the environment; those in the user's config
    files are read there.

    Raises:
        InputError: one that was typed has not been given again.
    """
    typed: list[str] = json.loads(os.environ.pop(SECRET_OVERRIDES, "[]"))
    folder = RunFolder(ledger.folder / job.folder)
    if not folder.holds(MASK):
        return {}
    left_out = kept_out(folder.config())
    config = check(whole(job.overrides, typed), ledger.definition().get("flags")).only()
    return {key: OmegaConf.select(config, key) for key in left_out}


def whole(overrides: list[str], typed: Iterable[str]) -> list[str]:
    """Overrides as they were given, of those that are written down and of secrets typed again.

    Raises:
        InputError: a secret is missing.
    """
    given = {o.partition("=")[0]: o for o in typed}
    found = [given.get(o.partition("=")[0], o) if o.endswith(f"={MASK}") else o
             for o in overrides]  # fmt: skip
    if left_out := [o for o in found if o.endswith(f"={MASK}")]:
        raise InputError(
            f"{left_out[0].partition('=')[0]} was kept out of the ledger, as a secret: give the "
            "whole `loom train -m` command again"
        )
    return found


@contextmanager
def heard_of(ledger: Ledger, key: str) -> Iterator[None]:
    """Tell the ledger every few seconds that the job is alive."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            with suppress(sqlite3.Error):  # a full disk must not end the job
                ledger.beat(key)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def reporting(ledger: Ledger, key: str) -> Iterator[None]:
    """Within, the run of this process reports to the ledger, if its sweep judges running jobs."""
    metric = ledger.definition().get(JUDGED)
    if metric is None:
        yield
        return
    os.environ[TRIAL] = json.dumps([str(ledger.folder.resolve()), key, metric])
    try:
        yield
    finally:
        del os.environ[TRIAL]


def outcome(folder: Path, exit_code: int, error: str = "") -> dict[str, Any]:
    """Columns that say how a job ended, from what the run wrote of itself."""
    try:
        summary = RunFolder(folder).summary()
    except InputError:  # it was cut short
        summary = {}
    status = summary.get("status")
    columns: dict[str, Any] = {"ended": time.time()}
    if status in ("finished", "pruned"):
        metric = summary.get("metric")
        value = (summary.get("best") or {}).get(metric)
        return columns | {"state": DONE if status == "finished" else PRUNED,
                          "metric": metric, "value": value}  # fmt: skip
    if exit_code in (130, 143):
        return columns | {"state": INTERRUPTED}
    told = error or str(summary.get("error") or "")
    kind, separator, message = told.partition(": ")
    if not separator or not kind.replace(".", "").isidentifier():
        kind, message = ("InputError" if exit_code == 2 else "Exit"), told
    message = message or f"left with exit code {exit_code} before it was finished"
    return columns | {
        "state": FAILED, "error_type": kind, "message": masked_text(message.splitlines()[0]),
    }  # fmt: skip
