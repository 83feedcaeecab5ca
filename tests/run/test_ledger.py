"""The ledger: kept whole under many writers, and never twice the same job."""

import math
import os
import sqlite3
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loomlab.run.ledger import DONE, GO_ON, PENDING, RUNNING, Job, Ledger, find_sweeps, is_sweep


def job(number: int, key: str = "", **columns: object) -> Job:
    settings = {"overrides": [f"seed={number}"], "differs": {"seed": str(number)}, **columns}
    return Job(key or f"key{number}", number, f"{number:03d}", **settings)  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "sweep")
    made.add([job(0), job(1)])
    return made


def test_what_goes_in_comes_out(ledger: Ledger):
    assert ledger.jobs() == [job(0), job(1)]
    assert ledger.job("key1").name == "001 seed=1"
    ledger.define({"arguments": ["seed=1,2"], "code": "x"})
    assert Ledger(ledger.folder).definition() == {"arguments": ["seed=1,2"], "code": "x"}
    with pytest.raises(KeyError):
        ledger.job("other")


def test_a_job_that_is_there_keeps_its_state(ledger: Ledger):
    ledger.update("key0", state=DONE, value=2.5)
    ledger.add([job(0), job(2)])
    assert [(j.state, j.value) for j in ledger.jobs()] == [
        (DONE, 2.5),
        (PENDING, None),
        (PENDING, None),
    ]


def test_jobs_are_by_number_and_reports_by_step(ledger: Ledger):
    ledger.add([job(3), job(2)])
    assert [j.number for j in ledger.jobs()] == [0, 1, 2, 3]
    for step, value in ((4, 2.0), (2, 3.0), (4, 1.0)):
        ledger.report("key0", step, value)
    ledger.report("key1", 2, math.nan)
    ledger.judge("key0", 2, GO_ON)
    assert ledger.reports("key0") == [("key0", 2, 3.0, GO_ON), ("key0", 4, 1.0, None)]
    assert ledger.reports("key1") == [("key1", 2, None, None)], "a number that is none"
    assert len(ledger.reports()) == 3


def test_only_a_running_job_is_alive(ledger: Ledger):
    assert ledger.update("key1", state=RUNNING, attempts=1)
    assert not ledger.update("other", state=RUNNING)
    for key in ("key0", "key1"):
        ledger.beat(key)
    assert ledger.job("key0") == job(0)
    assert time.time() - 60 < ledger.job("key1").heartbeat <= time.time()


def test_a_ledger_that_is_there_keeps_its_mode(ledger: Ledger):
    ledger.path.chmod(0o640)
    assert Ledger(ledger.folder).jobs() == ledger.jobs()
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o640


def test_it_is_a_private_file_in_wal_mode(ledger: Ledger):
    assert is_sweep(ledger.folder)
    assert not is_sweep(ledger.folder.parent)
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
    assert sqlite3.connect(ledger.path).execute("pragma journal_mode").fetchone() == ("wal",)


def test_one_of_many_takes_a_job(ledger: Ledger):
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda i: ledger.update("key0", (PENDING,), state=RUNNING, pid=i),
                              range(8)))  # fmt: skip
    assert sum(taken) == 1
    assert ledger.job("key0").pid == taken.index(True)


def test_processes_that_write_at_once_wait_for_each_other(ledger: Ledger):
    code = (
        "import sys; from loomlab.run.ledger import Ledger; ledger = Ledger(sys.argv[1])\n"
        "for step in range(50): ledger.report(sys.argv[2], step, step / 2)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(ledger.folder), f"key{i}"])
        for i in range(4)
    ]
    assert [p.wait(60) for p in processes] == [0] * 4
    assert len(ledger.reports()) == 200
    assert ledger.reports("key3")[-1] == ("key3", 49, 24.5, None)
    ledger.judge("key3", 49, "prune")
    assert ledger.reports("key3")[-1][3] == "prune"


def test_a_writer_killed_midway_leaves_it_whole(ledger: Ledger):
    code = (
        "import os, sys; from loomlab.run.ledger import Ledger; ledger = Ledger(sys.argv[1])\n"
        "with ledger._open() as c:\n"
        "    c.execute('update jobs set state = ?', ('half',)); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(ledger.folder)]).returncode == -9
    assert [j.state for j in ledger.jobs()] == [PENDING, PENDING]


def test_sweeps_are_found_while_their_runs_remove_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("b/sweep", "a"):
        (tmp_path / name).mkdir(parents=True)
        Ledger(tmp_path / name).define({})
    (tmp_path / "b" / "sweep" / "000" / ".model.partial").mkdir(parents=True)
    scandir = os.scandir

    def vanishing(path: str) -> object:
        if str(path).endswith(".partial"):
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert find_sweeps(tmp_path) == [tmp_path / "a", tmp_path / "b" / "sweep"]
