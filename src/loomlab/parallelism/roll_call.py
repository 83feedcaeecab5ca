"""Who of the processes of a run is still there: each keeps a file in RUN_DIR/.ranks up to date.

A collective that fails says that some other process has failed, not which, and not why. A folder
that all of them share tells it, whichever of them is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from loomlab.measure.machine import process_parent, process_start, process_state

FOLDER = ".ranks"
BEAT_SECONDS = 1.0
SILENT_SECONDS = 5.0  # a process elsewhere that has not been heard of for so long is gone
PATIENCE_SECONDS = 8.0  # what a process has to notice a failure by itself before it is ended


@dataclass
class Entry:
    """What a process says of itself."""

    rank: int
    host: str
    pid: int
    started: float | None
    heard: float = 0.0  # seconds since the epoch; 0 before the process itself has written
    waits: int = 0  # how often it has come to a place where it waits for the others
    error: str = ""
    left: bool = False  # it is through

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host == socket.gethostname()

    @property
    def is_gone(self) -> bool:
        """Whether it has ended without a word, as far as this machine can tell."""
        return self.is_here and process_start(self.pid) != self.started


@dataclass
class Failure:
    """What ended a run: a sentence, the process that is to blame, and whether that hangs."""

    message: str
    entry: Entry | None
    hangs: bool = False


def hanging(entry: Entry, how: str, timeout: float) -> Failure:
    """The failure of a process that others have waited for."""
    what = f"rank {entry.rank} (process {entry.pid} on {entry.host}) {how}"
    waited = f"it was waited for as long as parallelism.timeout={timeout:g} seconds"
    return Failure(f"{what}; {waited}", entry, hangs=True)


def enroll(run_dir: Path, rank: int, pid: int | None = None) -> Entry:
    """Enter a process, this one or one that was just started, under its rank."""
    pid = pid or os.getpid()
    entry = Entry(rank, socket.gethostname(), pid, process_start(pid))
    write(run_dir, entry)
    return entry


def write(run_dir: Path, entry: Entry) -> None:
    """Replace a process's file; a disk that is full must not end a run that goes well."""
    folder = run_dir / FOLDER
    partial = folder / f".{entry.rank}.{os.getpid()}.{threading.get_ident()}.partial"
    with suppress(OSError):
        partial.write_text(json.dumps(asdict(entry)), encoding="utf-8")
        partial.replace(folder / f"{entry.rank}.json")


def read(run_dir: Path, rank: int) -> Entry | None:
    """What a process has said last."""
    try:
        return Entry(**json.loads((run_dir / FOLDER / f"{rank}.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class RollCall:
    """Says that this process is there, and finds out which of the others is not."""

    def __init__(self, run_dir: Path, rank: int, size: int) -> None:
        self.run_dir, self.size = run_dir, size
        if rank == 0:  # what earlier processes of this run said is of no use any more
            self._forget()
            (run_dir / FOLDER).mkdir(exist_ok=True)
        self.own = enroll(run_dir, rank)
        self.over = threading.Event()

    def begin(self, give_up: Callable[[Failure], None]) -> None:
        """Beat from now on; `give_up` is called where a failure is not noticed by itself."""
        self.give_up = give_up
        self.thread = threading.Thread(target=self._beat, daemon=True, name="roll-call")
        self.thread.start()

    def end(self, error: str = "") -> None:
        """This process is through, or has failed and says why."""
        self.over.set()
        self.thread.join()
        self.own.error, self.own.left = error, not error
        self._write()
        if self.own.rank == 0 and not error:
            self._forget()

    def _forget(self) -> None:
        shutil.rmtree(self.run_dir / FOLDER, ignore_errors=True)

    def _write(self) -> None:
        self.own.heard = time.time()
        write(self.run_dir, self.own)

    def _beat(self) -> None:
        noticed: float | None = None
        while not self.over.wait(BEAT_SECONDS):
            self._write()
            failure = self.evident()
            noticed = (noticed or time.monotonic()) if failure else None
            if failure and noticed and time.monotonic() - noticed > PATIENCE_SECONDS:
                self.give_up(failure)

    def others(self) -> list[Entry]:
        """What the other processes have said last."""
        found = (read(self.run_dir, rank) for rank in range(self.size) if rank != self.own.rank)
        return [entry for entry in found if entry is not None and not entry.left]

    def evident(self) -> Failure | None:
        """A failure that needs no guess: one that was told, or a process that is gone."""
        for entry in self.others():
            if entry.error:
                return Failure(entry.error, entry)
            if entry.is_gone:
                how = how_it_ended(entry)
                return Failure(f"rank {entry.rank} (process {entry.pid}) {how}", entry)
        return None

    def find(self, seconds: float, timeout: float) -> Failure:
        """Who is to blame for a collective that failed; found within `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            failure = self.evident() or self._stopped(timeout)
            if failure:
                return failure
            time.sleep(0.1)
        others = self.others()
        for entry in others:
            if entry.heard and time.time() - entry.heard > SILENT_SECONDS:
                return hanging(entry, "is not heard of any more", timeout)
        slowest = min(others, key=lambda entry: entry.waits, default=None)
        if slowest is not None and slowest.waits < self.own.waits:
            return hanging(slowest, "has not come to where the others wait", timeout)
        return Failure(f"rank {self.own.rank} has lost the others", None)

    def _stopped(self, timeout: float) -> Failure | None:
        for entry in self.others():
            if entry.is_here and process_state(entry.pid) == "T":
                return hanging(entry, "is stopped", timeout)
        return None

    def end_children(self) -> None:
        """Kill the further processes that this one has started."""
        for entry in self.others():
            if entry.is_here and process_parent(entry.pid) == os.getpid():
                kill(entry)


def kill(entry: Entry) -> None:
    """End a process of this machine that does not end by itself."""
    if entry.is_here and entry.pid != os.getpid() and not entry.is_gone:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(entry.pid, signal.SIGKILL)


def how_it_ended(entry: Entry) -> str:
    """What is known of a process that is gone: its parent can say by which signal."""
    try:
        end = os.waitid(os.P_PID, entry.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return "is gone: it was killed, or its machine ended it"
    if end is None:
        return "is gone"
    if end.si_code == os.CLD_EXITED:
        return f"left with exit code {end.si_status}"
    return f"was killed by {signal.Signals(end.si_status).name}"
