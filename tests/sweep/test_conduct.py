"""The loop of a sweep, over small processes that write the ledger as jobs do."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console
from tests.patience import PATIENCE

from loomlab.errors import InputError
from loomlab.launch.base import Task
from loomlab.launch.local import Local
from loomlab.run.ledger import DONE, FAILED, INTERRUPTED, PENDING, RUNNING, Job, Ledger
from loomlab.sweep.conduct import Conductor
from loomlab.sweep.grid import Grid
from loomlab.sweep.screen import Screen

SCRIPT = """
import os, sys, time
from pathlib import Path
from loomlab.run.ledger import Ledger
from loomlab.sweep.job import claim
ledger = Ledger(sys.argv[1]); key = sys.argv[2]
job = claim(ledger, key)
if job is None: raise SystemExit(0)
with open(ledger.folder / "order.txt", "a") as order: order.write(job.key + "\\n")
def done(): ledger.update(key, state="done", value=1.0, metric="loss", ended=time.time())
def fail(): ledger.update(key, state="failed", error_type="KeyError", message="'x'"); sys.exit(1)
"""


class Scripts(Local):
    """Runs a script in place of training."""

    def __init__(self, scripts: dict[str, str], **settings: int) -> None:
        super().__init__(**settings)
        self.scripts = scripts

    def submit(self, tasks: Sequence[Task]) -> dict[str, str]:
        return super().submit([
            Task(t.key, [sys.executable, "-c", SCRIPT + self.scripts[t.key], *t.command[-2:]],
                 t.log, t.environment)
            for t in tasks
        ])  # fmt: skip


class Sweep:
    """A ledger with a job for each script, run as often as wanted."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.output = folder / "screen.txt"

    def run(
        self, scripts: list[str], n_parallel: int = 2,
        watch: Callable[[], object] = lambda: None,
        prepare: Callable[[Job], object] = lambda job: None, **settings: object,
    ) -> int:  # fmt: skip
        keys = [f"job{i}" for i in range(len(scripts))]
        self.ledger.add([Job(k, i, k, [], {"seed": str(i)}) for i, k in enumerate(keys)])
        launch = Scripts(dict(zip(keys, scripts, strict=True)), n_parallel=n_parallel)
        with self.output.open("a") as file:
            screen = Screen(Console(file=file, width=200))
            grid = Grid(**settings)  # type: ignore
            return Conductor(self.ledger, grid, launch, screen, {}, watch, prepare).run()

    def states(self) -> list[str]:
        return [job.state for job in self.ledger.jobs()]

    def order(self) -> list[str]:
        return (self.ledger.folder / "order.txt").read_text().split()


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path / "sweep")


def test_jobs_that_raise_exit_or_are_killed_take_no_other_down(sweep: Sweep):
    scripts = ["fail()", "os._exit(3)", "os.kill(os.getpid(), 9)", "sys.exit(0)", "done()"]
    watched: list[list[str]] = []
    assert sweep.run(scripts, watch=lambda: watched.append(sweep.states())) == 1
    assert PENDING in watched[0], "while jobs run"
    assert sweep.states() == watched[-1] == [FAILED, FAILED, FAILED, FAILED, DONE]
    told = [(job.error_type, job.message) for job in sweep.ledger.jobs()]
    assert told[0] == ("KeyError", "'x'")
    assert told[1] == ("Exit", "left with exit code 3 before it was finished")
    assert told[2][0] == "SIGKILL"
    assert "out of memory" in str(told[2][1])
    assert told[3] == ("Exit", "left with exit code 0 before it was finished")
    said = sweep.output.read_text()
    assert "002 seed=2: failed: SIGKILL" in said
    assert "(1 of 5 done, 4 failed)" in said


def test_a_job_whose_folder_cannot_be_prepared_fails_alone(sweep: Sweep):
    faults = {"job0": InputError("optimizer.lrr: no such setting"), "job2": OSError(28, "full")}

    def prepare(job: Job) -> None:
        if job.key in faults and job.attempts == 0:
            raise faults[job.key]

    assert sweep.run(["done()"] * 4, prepare=prepare) == 1
    assert sweep.states() == [FAILED, DONE, FAILED, DONE]
    assert sweep.order() == ["job1", "job3"]
    assert sweep.ledger.job("job0").message == "optimizer.lrr: no such setting"
    assert "full" in str(sweep.ledger.job("job2").message)
    faults.clear()
    assert sweep.run(["done()"] * 4, prepare=prepare) == 0


def test_given_again_it_runs_what_is_not_done(sweep: Sweep):
    flag = sweep.ledger.folder / "mended"
    flaky = f"done() if Path({str(flag)!r}).exists() else fail()"
    assert sweep.run(["done()", flaky]) == 1
    flag.touch()
    assert sweep.run(["done()", flaky]) == 0
    assert sorted(sweep.order()) == ["job0", "job1", "job1"]
    assert [job.attempts for job in sweep.ledger.jobs()] == [1, 2]
    assert sweep.ledger.job("job1").message is None, "what it failed of is not so any more"


def test_failed_ones_are_left_alone_if_so_wished(sweep: Sweep):
    sweep.run(["fail()"])
    assert sweep.run(["done()"], retry=None) == 1
    assert sweep.order() == ["job0"]


def test_retry_starts_a_failed_job_again_at_once(sweep: Sweep):
    third = "done() if job.attempts == 3 else fail()"
    assert sweep.run([third, "fail()"], retry=2) == 0 + 1
    assert sweep.states() == [DONE, FAILED]
    assert [job.attempts for job in sweep.ledger.jobs()] == [3, 3]


@pytest.mark.parametrize(
    ("settings", "started"), [({"on_fail": "stop"}, 1), ({"max_failures": 1}, 2), ({}, 5)]
)
def test_it_stops_after_so_many_failures(sweep: Sweep, settings: dict, started: int):
    assert sweep.run(["fail()"] * 5, n_parallel=1, **settings) == 1
    assert sweep.states() == [FAILED] * started + [PENDING] * (5 - started)


def test_as_many_at_a_time_as_wished(sweep: Sweep):
    code = (
        "running = [j for j in ledger.jobs() if j.state == 'running']\n"
        "time.sleep(0.3); Path(ledger.folder / f'{key}.n').write_text(str(len(running))); done()"
    )
    assert sweep.run([code] * 5, n_parallel=2) == 0
    counts = [int(p.read_text()) for p in sweep.ledger.folder.glob("*.n")]
    assert max(counts) == 2


LISTENS = """
import signal
def end(*_): ledger.update(key, state='interrupted'); sys.exit(143)
signal.signal(signal.SIGTERM, end)
print('ready', flush=True); time.sleep(60)
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True)\n"


@contextlib.contextmanager
def interrupted(condition: Callable[[], bool], number: int, times: int = 1):
    """Signals this process once a condition holds."""

    def act() -> None:
        end = time.monotonic() + PATIENCE
        while not condition() and time.monotonic() < end:
            time.sleep(0.05)
        for _ in range(times):
            os.kill(os.getpid(), number)
            time.sleep(0.5)

    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_jobs_save(sweep: Sweep, number: int):
    log = sweep.ledger.folder / "job0" / "console.log"
    with interrupted(lambda: log.exists() and "ready" in log.read_text(), number):
        assert sweep.run([LISTENS, "done()"], n_parallel=1) == 128 + number
    assert sweep.states() == [INTERRUPTED, PENDING]
    assert sweep.run(["done()", "done()"]) == 0


def test_a_second_signal_ends_them_at_once(sweep: Sweep):
    log = sweep.ledger.folder / "job0" / "console.log"
    ready = lambda: log.exists() and "ready" in log.read_text()  # noqa: E731
    with interrupted(ready, signal.SIGINT, times=2):
        assert sweep.run([DEAF + "time.sleep(60)"]) == 130
    assert sweep.states() == [INTERRUPTED]


def test_a_job_of_an_earlier_parent_is_waited_for(sweep: Sweep):
    """Its parent was killed; it runs on, and is not started a second time."""
    code = SCRIPT + "time.sleep(2); done()"
    sweep.ledger.add([Job("job0", 0, "job0", [], {})])
    orphan = subprocess.Popen([sys.executable, "-c", code, str(sweep.ledger.folder), "job0"])
    while sweep.ledger.job("job0").state != RUNNING:
        time.sleep(0.02)
    waiter = threading.Thread(target=orphan.wait)  # no zombie: its first parent is not here
    waiter.start()
    assert sweep.run(["fail()", "done()"]) == 0
    waiter.join()
    assert sorted(sweep.order()) == ["job0", "job1"]
    assert "still runs" in sweep.output.read_text()


def test_a_job_of_an_earlier_parent_that_is_gone_goes_on(sweep: Sweep):
    sweep.ledger.add([Job("job0", 0, "job0", [], {})])
    code = SCRIPT + "os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(sweep.ledger.folder), "job0"])
    assert sweep.states() == [RUNNING], "nobody was there to write how it ended"
    assert sweep.run(["done()"]) == 0
    assert sweep.ledger.job("job0").attempts == 2


def test_threads_of_the_machine_are_shared(sweep: Sweep):
    code = "Path(ledger.folder / 'threads').write_text(os.environ['OMP_NUM_THREADS']); done()"
    assert sweep.run([code], n_parallel=64) == 0
    assert (sweep.ledger.folder / "threads").read_text() == "1"


class Queue(Scripts):
    """An engine that keeps jobs when the sweep's process goes, and takes all at once."""

    def __init__(self, scripts: dict[str, str]) -> None:
        super().__init__(scripts, n_parallel=1)
        self.kept: dict[str, str] = {}
        self.batches: list[list[str]] = []

    def room(self, learns: bool) -> int:
        return 100

    def submit(self, tasks: Sequence[Task]) -> dict[str, str]:
        self.batches.append([task.key for task in tasks])
        super().submit(tasks)
        return {task.key: f"id-{task.key}" for task in tasks}

    def adopt(self, key: str, engine_id: str) -> bool:
        if self.kept.get(key) != engine_id:
            return False
        super().submit([Task(key, ["", str(self.folder), key], self.folder / key / "log")])
        return True

    def open(self, folder: Path) -> None:
        self.folder = folder


def test_what_an_engine_still_has_is_not_submitted_again(sweep: Sweep):
    keys = [f"job{i}" for i in range(5)]
    states = [PENDING, INTERRUPTED, PENDING, FAILED, FAILED]
    ids = ["id-job0", "id-job1", "id-lost", "id-job3", None]
    sweep.ledger.add([
        Job(key, i, key, [], {"seed": str(i)}, state=state, engine_id=engine_id)
        for i, (key, state, engine_id) in enumerate(zip(keys, states, ids, strict=True))
    ])  # fmt: skip
    launch = Queue(dict.fromkeys(keys, "done()"))
    launch.kept = {"job0": "id-job0", "job1": "id-job1", "job3": "id-job3"}
    with sweep.output.open("a") as file:
        screen = Screen(Console(file=file, width=200))
        assert Conductor(sweep.ledger, Grid(), launch, screen, {}).run() == 0
    assert launch.batches == [["job2", "job3", "job4"]], "a failed job has ended for its engine"
    assert sorted(sweep.order()) == keys
    said = sweep.output.read_text()
    assert "000 seed=0: is still with the engine, as id-job0" in said
    assert "002 seed=2: submitted as id-job2" in said


def test_what_is_handed_over_waits_in_the_ledger(sweep: Sweep):
    """Of a job that fails and is handed over again, the ledger says that it waits."""

    class Late(Queue):
        def submit(self, tasks: Sequence[Task]) -> dict[str, str]:
            self.before = [sweep.ledger.job(task.key) for task in tasks]
            return super().submit(tasks)

    sweep.ledger.add([Job("job0", 0, "job0", [], {}, state=FAILED, engine_id="old", attempts=1)])
    launch = Late({"job0": "done()"})
    with sweep.output.open("a") as file:
        screen = Screen(Console(file=file, width=200))
        assert Conductor(sweep.ledger, Grid(), launch, screen, {}).run() == 0
    assert [(job.state, job.engine_id) for job in launch.before] == [(PENDING, None)]
    assert sweep.ledger.job("job0").attempts == 2
