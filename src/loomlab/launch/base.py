"""What every launcher offers: a sweep hands it commands and hears how each process ended."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

ENGINE_ID = "LOOM_ENGINE_ID"  # how a job's process knows what its engine calls it


@dataclass(frozen=True)
class Task:
    """One process to run."""

    key: str
    command: Sequence[str]
    log: Path  # what it prints goes to the end of this file
    environment: Mapping[str, str] = field(default_factory=dict)  # beside that of the parent
    cwd: str = field(default_factory=os.getcwd)  # overrides may name files relative to it


@dataclass(frozen=True)
class Ended:
    """How a process ended: `exit_code` is negative for a signal, None where nobody knows."""

    key: str
    exit_code: int | None
    message: str = ""


class Launch:
    """Runs processes, `n_parallel` at a time.

    The sweep calls `open`, then `adopt` for each job an earlier parent left with the engine,
    `submit` with as many tasks as there is room for, `poll` every moment, and `stop` when it is
    asked to end; `close` comes last, whatever happened.
    """

    writes_tasks: ClassVar[bool] = False  # to disk, so that they may hold no secret
    n_parallel: int = 1
    threads: int | None = None
    poll_seconds: float = 0.1

    def open(self, folder: Path) -> None:
        """Get ready; `folder` is the sweep's.

        Raises:
            InputError: the engine is not here.
        """

    def submit(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Hand processes to the engine without waiting for them.

        Returns what the engine calls each task, by key, if it outlives this process.

        Raises:
            InputError: the engine refuses them.
        """
        raise NotImplementedError

    def poll(self) -> list[Ended]:
        """The processes that ended since it was last asked."""
        raise NotImplementedError

    def stop(self, kill: bool) -> None:
        """Ask all processes to save and end (SIGTERM), or with `kill` end them at once."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what is held."""

    def alive(self, engine_id: str) -> bool | None:
        """Whether the engine runs or will run a task; None if it cannot tell."""
        return None

    def adopt(self, key: str, engine_id: str) -> bool:
        """Take up a task of an earlier parent that is still alive, as if submitted here."""
        return False

    def room(self, learns: bool) -> int:
        """How many tasks it holds at a time; more than `n_parallel` where the engine queues.

        A sweep that learns from each job wants no queue: its proposals would be out of date.
        """
        return self.n_parallel

    def threads_each(self) -> int:
        """Computing threads of one process: those of the machine divided among them."""
        return self.threads or max(1, available_cores() // max(1, self.n_parallel))


def available_cores() -> int:
    """Processor cores this process may use."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
