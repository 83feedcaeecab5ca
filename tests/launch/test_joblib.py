"""Jobs looked after by joblib's workers: how they end, how many at once, how they are stopped."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from loomlab.launch.base import Launch
from loomlab.launch.joblib import Joblib

LISTENS = (
    "import signal, sys, time\n"
    "def save(*_): print('saved', flush=True); sys.exit(143)\n"
    "signal.signal(signal.SIGTERM, save); print('ready', flush=True); time.sleep(60)"
)
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready', flush=True); time.sleep(60)"
)
Opened = Callable[[Launch], Launch]
Tasks = tuple[Callable, Callable, Callable]


def test_threads_of_this_process_as_workers(opened: Opened, tasks: Tasks, tmp_path: Path):
    task, ended, _ = tasks
    launch = opened(Joblib(n_parallel=2, backend="threading"))
    code = f"import os; raise SystemExit(os.getppid() == {os.getpid()})"
    launch.submit([task(key, code, tmp_path) for key in ("a", "b", "c")])
    assert {end.exit_code for end in ended(launch, 3).values()} == {1}


def test_tasks_that_are_submitted_later_run_beside_the_first(
    opened: Opened, tasks: Tasks, tmp_path: Path
):
    task, ended, _ = tasks
    launch = opened(Joblib(n_parallel=2))
    launch.submit([task("a", LISTENS, tmp_path)])
    launch.submit([task("b", "import os; print(os.environ['SHARE'])", tmp_path, SHARE="mine")])
    assert ended(launch, 1)["b"].exit_code == 0
    assert (tmp_path / "b" / "log").read_text() == "mine\n"
    launch.stop(kill=False)
    assert ended(launch, 1)["a"].exit_code == 143


def test_stopping(opened: Opened, tasks: Tasks, tmp_path: Path):
    task, ended, until = tasks
    launch = opened(Joblib(n_parallel=2))
    launch.submit([task("listens", LISTENS, tmp_path), task("deaf", DEAF, tmp_path)])
    logs = {key: tmp_path / key / "log" for key in ("listens", "deaf")}
    until(lambda: all(p.exists() and "ready" in p.read_text() for p in logs.values()))
    launch.stop(kill=False)
    assert ended(launch, 1)["listens"].exit_code == 143
    assert logs["listens"].read_text().split() == ["ready", "saved"]
    time.sleep(0.5)
    assert launch.poll() == []
    launch.stop(kill=True)
    assert ended(launch, 1)["deaf"].exit_code == -signal.SIGKILL
    launch.close()
    assert [p.name for p in tmp_path.glob(".orders*")] == []


def test_a_lost_worker_is_told(opened: Opened, tasks: Tasks, tmp_path: Path):
    """What kills joblib's worker (not the job) leaves the others their answer, or says so."""
    task, ended, until = tasks
    launch = opened(Joblib(n_parallel=2))
    code = "import os, json, time; print(json.dumps([os.getpid(), os.getppid()]), flush=True)\n"
    launch.submit([task("a", code + "time.sleep(60)", tmp_path)])
    log = tmp_path / "a" / "log"
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    child, worker = json.loads(log.read_text())
    os.kill(worker, signal.SIGKILL)
    found = ended(launch, 1)["a"]
    os.kill(child, signal.SIGKILL)
    assert (found.exit_code, found.message) == (None, "the joblib worker it had is gone")
