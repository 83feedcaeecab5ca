"""Run what is still to be run of a sweep, and keep the ledger true whatever happens to a job."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from loomlab.errors import InputError
from loomlab.launch.base import Ended, Launch, Task
from loomlab.run.ledger import (
    ENDED,
    FAILED,
    INTERRUPTED,
    PENDING,
    RUNNING,
    Job,
    Ledger,
)
from loomlab.secrets import masked_text
from loomlab.sweep.base import Search, Sweep
from loomlab.sweep.job import SECRET_OVERRIDES
from loomlab.sweep.processes import is_alive, signal_process
from loomlab.sweep.screen import Screen
from loomlab.sweep.words import counted

CONSOLE = "console.log"
TAIL_LINES = 20
SIGNALS = (signal.SIGINT, signal.SIGTERM)
TO_START = (PENDING, FAILED, INTERRUPTED)
UNDECIDED = (PENDING, RUNNING, INTERRUPTED)  # states of jobs that an engine may still have


class Conductor:
    """Feeds a launcher with jobs until none is left, or until it is told to stop."""

    def __init__(
        self,
        ledger: Ledger,
        sweep: Sweep,
        launch: Launch,
        screen: Screen,
        secrets: dict[str, list[str]],
        watch: Callable[[], object] = lambda: None,
        prepare: Callable[[Job], object] = lambda job: None,
    ) -> None:
        """`secrets`: overrides of jobs, by key, that are not written down.

        `watch` is called again and again while jobs run, `prepare` before one is started.
        """
        self.ledger = ledger
        self.sweep = sweep
        self.launch = launch
        self.screen = screen
        self.secrets = secrets
        self.watch = watch
        self.prepare = prepare
        self.running: set[str] = set()
        self.adopted: set[str] = set()
        self.again: dict[str, int] = {}  # started again at once after a failure
        self.failures = 0
        self.asked: int | None = None  # the signal that told it to stop

    def run(self) -> int:
        """Run all that is due; the exit code: 0 all done, 1 some failed, 128 + signal."""
        self.launch.open(self.ledger.folder)
        with self._signals(), self.screen.watching(self.ledger):
            try:
                queue = self._due()
                while True:
                    self._start(queue)
                    if not self.running | self.adopted and (self._stopping() or not queue):
                        break
                    self._hear(queue)
                    self.screen.look(self.ledger)
                    self.watch()
                    time.sleep(self.launch.poll_seconds)
            finally:
                self.launch.close()
        if self.asked is not None:
            return 128 + self.asked
        return 1 if any(job.state == FAILED for job in self.ledger.jobs()) else 0

    # -- what is to be run

    def _due(self) -> list[str]:
        """Keys of the jobs to start, by number; those that run already are adopted."""
        due = []
        for job in self.ledger.jobs():
            engine_id = job.engine_id if job.state in UNDECIDED else None
            if engine_id and self.launch.adopt(job.key, engine_id):
                self.running.add(job.key)
                self.screen.say(f"{job.name}: is still with the engine, as {engine_id}")
                continue
            if job.state == RUNNING:
                if is_alive(job, self.launch):
                    self.adopted.add(job.key)
                    self.screen.say(f"{job.name}: still runs (process {job.pid} on {job.host})")
                    continue
                self.ledger.update(job.key, (RUNNING,), state=INTERRUPTED)
            elif job.state in ENDED or (job.state == FAILED and self.sweep.retry is None):
                continue
            due.append(job.key)
        return due

    def _start(self, queue: list[str]) -> None:
        """Start as many jobs as there is room for, and have a search propose what is missing."""
        room = self.launch.room(self.sweep.learns) - len(self.running | self.adopted)
        if room < 1 or self._stopping():
            return
        if isinstance(self.sweep, Search):
            while len(queue) < room and (key := self.sweep.ask()):
                queue.append(key)
        now = queue[:room]
        del queue[:room]
        tasks = [
            self._task(job) for key in now if self._prepared(job := self.ledger.job(key), queue)
        ]
        if tasks:
            self._submit(tasks)
            for task in tasks:
                self.screen.started(self.ledger.job(task.key))

    def _submit(self, tasks: list[Task]) -> None:
        """Hand jobs over; where they may wait, the ledger says so, and where to find them."""
        for task in tasks:
            self.ledger.update(task.key, TO_START, state=PENDING, engine_id=None)
        engine_ids = self.launch.submit(tasks)
        self.running |= {task.key for task in tasks}
        for key, engine_id in engine_ids.items():
            self.ledger.update(key, (PENDING,), engine_id=engine_id)

    def _prepared(self, job: Job, queue: list[str]) -> bool:
        """Whether the folder of a job is ready to be run; the job has failed if it is not."""
        try:
            self.prepare(job)
        except (InputError, OSError) as error:
            self.ledger.update(job.key, TO_START, state=PENDING, engine_id=None)
            self._settle(Ended(job.key, 2, masked_text(str(error))), queue)
            return False
        return True

    def _task(self, job: Job) -> Task:
        """The process of a job, with its share of the machine's threads."""
        threads = str(self.launch.threads_each())
        environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        if secrets := self.secrets.get(job.key):
            environment[SECRET_OVERRIDES] = json.dumps(secrets)
        command = [sys.executable, "-m", "loomlab", "job", str(self.ledger.folder), job.key]
        return Task(job.key, command, self.ledger.folder / job.folder / CONSOLE, environment)

    # -- how it goes

    def _hear(self, queue: list[str]) -> None:
        """Take up what ended, and answer what running jobs reported."""
        for end in self.launch.poll():
            self.running.discard(end.key)
            self._settle(end, queue)
        for key in list(self.adopted):
            job = self.ledger.job(key)
            if job.state != RUNNING or not is_alive(job, self.launch):
                self.adopted.discard(key)
                self._settle(Ended(key, None), queue)
        if isinstance(self.sweep, Search):
            self.sweep.judge(self.ledger)

    def _settle(self, end: Ended, queue: list[str]) -> None:
        """Complete the row of a job whose process is gone."""
        job = self.ledger.job(end.key)
        if job.state == RUNNING and not end.exit_code and is_alive(job, self.launch):
            self.adopted.add(job.key)  # another sweep's process had taken it
            return
        if job.state in (RUNNING, PENDING, INTERRUPTED):
            self.ledger.update(end.key, **self._unrecorded(job, end))
            job = self.ledger.job(end.key)
        if job.state == FAILED:
            tail = log_tail(self.ledger.folder / job.folder / CONSOLE)
            self.ledger.update(end.key, log_tail=tail)
            job = self.ledger.job(end.key)
        self.screen.ended(job, self.ledger.jobs())
        if job.state == FAILED:
            tried = self.again.get(job.key, 0)
            if self.sweep.retry and tried < self.sweep.retry and not self._stopping():
                self.again[job.key] = tried + 1
                queue.append(job.key)
                return
        if isinstance(self.sweep, Search):
            self.sweep.tell(job)
        if job.state == FAILED:
            self.failures += 1
            limit = self.sweep.max_failures
            if limit is not None and self.failures == limit + 1 and self.asked is None:
                self.screen.say(f"stopping: {counted(self.failures)} failed, {limit} may")
                self._end(kill=False)

    def _unrecorded(self, job: Job, end: Ended) -> dict[str, Any]:
        """What the job could not write itself: that it was stopped, killed, or left early."""
        if self._stopping() and (job.state != RUNNING or (end.exit_code or 1) in _SIGNALLED):
            return {"state": INTERRUPTED if job.attempts else PENDING, "ended": time.time()}
        return {
            "state": FAILED, "ended": time.time(),
            "error_type": _kind(end.exit_code), "message": end.message or _cause(end.exit_code),
        }  # fmt: skip

    # -- being told to stop

    def _stopping(self) -> bool:
        limit = self.sweep.max_failures
        return self.asked is not None or (limit is not None and self.failures > limit)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        """The first signal lets the jobs save and end, the second ends them at once."""
        kill = self.asked is not None
        self.asked = signum
        saved = f"stopping: {counted(len(self.running))} to be saved (again to end at once)"
        where = "the same command, or `loom sweep resume`, goes on"
        self.screen.say("ending the jobs at once" if kill else f"{saved}; {where}")
        self._end(kill)

    def _end(self, kill: bool) -> None:
        """Signal the jobs, also those that an earlier parent started on this machine."""
        self.launch.stop(kill)
        for key in self.adopted:
            signal_process(self.ledger.job(key), signal.SIGKILL if kill else signal.SIGTERM)


_SIGNALLED = (-signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL, 130, 143, 137)


def _kind(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return "Exit"


def _cause(code: int | None) -> str:
    if code is None:
        return "its process is gone, without a word on how it ended"
    if code == -signal.SIGKILL:
        return "killed by SIGKILL; out of memory is the usual cause"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"left with exit code {code} before it was finished"


def log_tail(path: Path) -> str:
    """The last lines a job printed."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16384))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-TAIL_LINES:])
