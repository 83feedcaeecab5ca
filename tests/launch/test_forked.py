"""Jobs forked from one process with the imports done: each its own, and none lost with it."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loomlab.launch import forked
from loomlab.launch.base import Ended, Launch, Task
from loomlab.launch.local import Local

SAYS = """
import json, os, signal, sys
print(json.dumps({
    "argv": sys.argv, "cwd": os.getcwd(), "share": os.environ.get("SHARE"),
    "session": os.getsid(0) == os.getpid(), "main": __name__, "read": sys.stdin.read(),
    "torch": "torch" in sys.modules,
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "terminate": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
}))
sys.stdout.flush()
END = {"exits": 7, "raises": KeyError("k")}.get(sys.argv[1])
if isinstance(END, int):
    sys.exit(END)
if END:
    raise END
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
"""
LISTENS = """
import signal, sys, time
def save(*_):
    print("saved", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
time.sleep(300)
"""


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Local]:
    """Forks that import less, to be quick."""
    monkeypatch.setattr(forked, "IMPORTED", ("json",))
    made = Local(n_parallel=4, fork=True)
    made.open(tmp_path)
    yield made
    made.stop(kill=True)
    made.close()


def job(folder: Path, key: str, code: str, *arguments: str, **environment: str) -> Task:
    place = folder / key
    place.mkdir()
    (place / f"{key}_of_this_test.py").write_text(code)
    command = [sys.executable, "-m", f"{key}_of_this_test", *arguments]
    return Task(key, command, place / "log", environment, str(place))


def test_each_is_a_process_of_its_own(launch: Local, tasks: tuple[Callable, ...], tmp_path: Path):
    _, ended, _ = tasks
    ends = {"done": 0, "exits": 7, "raises": 1, "killed": -9}
    launch.submit([job(tmp_path, key, SAYS, key, "x", SHARE=key) for key in ends])
    found = {key: end.exit_code for key, end in ended(launch, len(ends)).items()}
    assert found == ends
    for key in ends:
        said = json.loads((tmp_path / key / "log").read_text().splitlines()[0])
        program = str(tmp_path / key / f"{key}_of_this_test.py")
        assert said == {
            "argv": [program, key, "x"], "cwd": str(tmp_path / key), "share": key,
            "session": True, "main": "__main__", "read": "", "torch": False,
            "interrupt": True, "terminate": True,
        }  # fmt: skip
    assert "KeyError" in (tmp_path / "raises" / "log").read_text()
    assert launch.poll() == [], "each end is told once"


def test_told_before_it_has_begun_it_hears(
    launch: Local, tasks: tuple[Callable, ...], tmp_path: Path
):
    """The imports take seconds, and Ctrl-C does not wait for them."""
    _, ended, _ = tasks
    launch.submit([job(tmp_path, "a", LISTENS)])
    assert [process.poll() for process in launch.running.values()] == [None]
    launch.stop(kill=False)
    assert ended(launch, 1)["a"].exit_code in (143, -signal.SIGTERM)


def test_told_to_stop_it_saves(launch: Local, tasks: tuple[Callable, ...], tmp_path: Path):
    _, ended, until = tasks
    launch.submit([job(tmp_path, "a", LISTENS)])
    log = tmp_path / "a" / "log"
    until(lambda: launch.poll() == [] and log.exists() and "ready" in log.read_text())
    launch.stop(kill=False)
    assert ended(launch, 1)["a"].exit_code == 143
    assert log.read_text().split() == ["ready", "saved"]


def test_when_the_server_is_gone_jobs_go_on_and_more_are_started(
    launch: Local, tasks: tuple[Callable, ...], tmp_path: Path
):
    _, ended, until = tasks
    launch.submit([job(tmp_path, "a", LISTENS)])
    log = tmp_path / "a" / "log"
    until(lambda: launch.poll() == [] and log.exists() and "ready" in log.read_text())
    pid = launch.running["a"].pid
    assert pid is not None
    assert launch.server is not None
    assert launch.server._process is not None
    launch.server._process.kill()
    assert ended(launch, 1)["a"] == Ended("a", None), "how it goes is for the ledger to tell"
    os.kill(pid, 0)
    launch.submit([job(tmp_path, "b", SAYS, "b")])
    assert ended(launch, 1)["b"].exit_code == 0
    os.kill(pid, signal.SIGKILL)


def test_a_server_that_cannot_begin_is_done_without(
    launch: Local, tasks: tuple[Callable, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    _, ended, _ = tasks
    monkeypatch.setattr(forked, "IMPORTED", ("no_such_module",))
    launch.submit([job(tmp_path, "a", SAYS, "exits")])
    assert ended(launch, 1)["a"].exit_code == 7
    assert launch.server is None


def test_what_is_not_a_module_is_started_from_nothing(
    launch: Local, tasks: tuple[Callable, ...], tmp_path: Path
):
    task, ended, _ = tasks
    launch.submit([task("a", "import sys; sys.exit(3)", tmp_path)])
    assert ended(launch, 1)["a"].exit_code == 3
    assert launch.server is not None
    assert launch.server._process is None


def test_there_is_no_fork_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(forked, "DEVICES", tmp_path)
    assert Local().fork == (sys.platform == "linux")
    (tmp_path / "nvidia0").touch()
    assert not Local().fork
    assert Local(fork=True).fork
    opened: Launch = Local()
    opened.open(tmp_path)
    assert opened.server is None  # type: ignore[attr-defined]
