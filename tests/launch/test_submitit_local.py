"""Jobs of submitit on this machine: time that is up, and a submitit process that is lost."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.launch.base import Launch
from loomlab.launch.checks import submitit_problems
from loomlab.launch.submitit_local import SubmititLocal

slow = pytest.mark.soak  # each job starts two processes that import submitit
# The first time it saves when it is told to; the second time it finds that and is done.
SAVES = """
import os, pathlib, signal, sys, time
saved = pathlib.Path(os.environ['SAVED'])
if saved.exists(): print('goes on', flush=True); sys.exit(0)
def save(*_): print('saves', flush=True); time.sleep(1); saved.touch(); sys.exit(143)
signal.signal(signal.SIGTERM, save); print('starts', flush=True); time.sleep(60)
"""
Opened = Callable[[Launch], Launch]
Tasks = tuple[Callable, Callable, Callable]


@slow
def test_when_the_time_is_up_it_saves_and_goes_on(opened: Opened, tasks: Tasks, tmp_path: Path):
    task, ended, _ = tasks
    launch = opened(SubmititLocal(timeout_min=0.2, signal_delay_s=9))
    launch.submit([task("a", SAVES, tmp_path, SAVED=str(tmp_path / "saved"))])
    assert ended(launch, 1)["a"].exit_code == 0
    log = (tmp_path / "a" / "log").read_text()
    assert log.split("\n")[:3] == ["starts", "saves", "goes on"]


@slow
def test_when_the_time_is_up_too_often_it_says_so(opened: Opened, tasks: Tasks, tmp_path: Path):
    task, ended, _ = tasks
    launch = opened(SubmititLocal(timeout_min=0.2, signal_delay_s=9, max_num_timeout=0))
    launch.submit([task("a", SAVES, tmp_path, SAVED=str(tmp_path / "saved"))])
    end = ended(launch, 1)["a"]
    assert end.exit_code is None
    assert "timed-out too many times" in end.message
    assert (tmp_path / "saved").exists(), "what it had is not lost"


@slow
def test_a_lost_submitit_process_is_told(opened: Opened, tasks: Tasks, tmp_path: Path):
    task, ended, until = tasks
    launch = opened(SubmititLocal())
    code = "import os, json, time; print(json.dumps([os.getpid(), os.getppid()]), flush=True)\n"
    launch.submit([task("a", code + "time.sleep(60)", tmp_path)])
    log = tmp_path / "a" / "log"
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    child, submitit = json.loads(log.read_text())
    os.kill(submitit, signal.SIGKILL)
    end = ended(launch, 1)["a"]
    os.kill(child, signal.SIGKILL)
    assert end.exit_code is None
    assert "left no result" in end.message


@slow
@pytest.mark.parametrize("given", [None, "0,1"])
def test_the_gpus_of_the_parent_are_those_of_the_job(
    opened: Opened,
    tasks: Tasks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
):
    """submitit gives a job without `gpus` none, which would make it compute on the CPU."""
    task, ended, _ = tasks
    if given is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    launch = opened(SubmititLocal())
    code = "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'))"
    launch.submit([task("a", code, tmp_path)])
    ended(launch, 1)
    assert (tmp_path / "a" / "log").read_text() == f"{given}\n"


@pytest.mark.parametrize(("minutes", "delay", "count"), [(None, 90, 0), (2, 90, 0), (1, 60, 1)])
def test_a_job_must_have_time_before_it_saves(minutes: float | None, delay: int, count: int):
    found = submitit_problems({"timeout_min": minutes, "signal_delay_s": delay})
    assert len(found) == count
    assert all(text.startswith("signal_delay_s: ") for text in found)
