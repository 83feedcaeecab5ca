"""Who is asked whether a job runs: its engine, else its machine, else its heartbeat."""

import os
import socket
import time
from pathlib import Path

import pytest

from loomlab.launch.base import ENGINE_ID, Launch
from loomlab.run.ledger import RUNNING, Job, Ledger
from loomlab.sweep.job import claim
from loomlab.sweep.processes import SILENT_SECONDS, is_alive, process_start


class Engine(Launch):
    """Knows that 7 is alive and 8 is not."""

    def alive(self, engine_id: str) -> bool | None:
        return {"7": True, "8": False}.get(engine_id)


HERE = {"host": socket.gethostname(), "pid": os.getpid(),
        "process_start": process_start(os.getpid())}  # fmt: skip
GONE = {**HERE, "process_start": 1.0}
HEARD = {"host": "elsewhere", "pid": 1, "heartbeat": 0.0}  # seconds from now
SILENT = {**HEARD, "heartbeat": -SILENT_SECONDS - 1}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({**GONE, "engine_id": "7"}, True),  # queued again: its process is gone, it is not
        ({**HERE, "engine_id": "8"}, False),
        ({**HERE, "engine_id": "9"}, True),  # of another engine
        ({**GONE, "engine_id": "9"}, False),
        (HERE, True),
        (GONE, False),
        (HEARD, True),
        (SILENT, False),
    ],
)
def test_who_is_asked(columns: dict, expected: bool):
    if "heartbeat" in columns:
        columns = {**columns, "heartbeat": time.time() + columns["heartbeat"]}
    job = Job("key", 0, "folder", [], {}, state=RUNNING, **columns)
    assert is_alive(job, Engine()) is expected


@pytest.mark.parametrize(("mine", "taken"), [("7", True), ("8", False), (None, False)])
def test_a_job_that_its_engine_starts_again_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: str | None, taken: bool
):
    """A node that failed wrote nothing, and its heartbeat looks alive for a while."""
    if mine is None:
        monkeypatch.delenv(ENGINE_ID, raising=False)
    else:
        monkeypatch.setenv(ENGINE_ID, mine)
    ledger = Ledger(tmp_path)
    heard = {**HEARD, "heartbeat": time.time(), "engine_id": "7"}
    ledger.add([Job("key", 0, "folder", [], {}, state=RUNNING, **heard)])
    assert (claim(ledger, "key") is not None) is taken
    assert ledger.job("key").attempts == int(taken)
