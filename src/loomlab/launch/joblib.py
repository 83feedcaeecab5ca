"""Workers of joblib."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from loomlab.launch.base import Ended, Launch, Task
from loomlab.launch.process import Orders, run


class Joblib(Launch):
    """Workers of joblib (extra: joblib), each of which looks after one job's process at a time."""

    problem_check = "loomlab.launch.checks.joblib_problems"

    def __init__(
        self,
        n_parallel: Annotated[int, "[1, inf)"] = 1,
        threads: Annotated[int | None, "[1, inf)"] = None,
        backend: Literal["loky", "threading"] = "loky",
    ) -> None:
        """Settings of joblib.

        Args:
            n_parallel: workers, and so jobs at a time.
            threads: computing threads of each job; null divides the cores among the jobs.
            backend: joblib's: workers are processes (loky) or threads of the sweep's process.
        """
        self.n_parallel = n_parallel
        self.threads = threads
        self.backend = backend
        self.waited: dict[threading.Thread, set[str]] = {}  # keys each thread waits for
        self.ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()

    def open(self, folder: Path) -> None:
        """Choose the file for orders."""
        self.orders = Orders(folder)

    def submit(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Hand the tasks over as one batch; batches of all threads share joblib's workers."""
        thread = threading.Thread(target=self._wait_for, args=(list(tasks),), daemon=True)
        self.waited[thread] = {task.key for task in tasks}
        thread.start()
        return {}

    def _wait_for(self, tasks: list[Task]) -> None:
        from joblib import Parallel, delayed

        parallel = Parallel(
            n_jobs=self.n_parallel, backend=self.backend, return_as="generator_unordered",
            batch_size=1, pre_dispatch="all",
        )  # fmt: skip
        with suppress(BrokenExecutor):  # a lost worker: `poll` tells which tasks had no answer
            for end in parallel(delayed(in_worker)(task, self.orders) for task in tasks):
                self.ended.put(end)

    def poll(self) -> list[Ended]:
        """Those that ended, and those whose worker is lost."""
        over = [thread for thread in self.waited if not thread.is_alive()]
        ended = []
        while not self.ended.empty():
            ended.append(self.ended.get())
        for keys in self.waited.values():
            keys -= {end.key for end in ended}
        for thread in over:
            lost = self.waited.pop(thread)
            ended += [Ended(key, None, "the joblib worker it had is gone") for key in lost]
        return ended

    def stop(self, kill: bool) -> None:
        """Workers pass it on."""
        self.orders.give(kill)

    def close(self) -> None:
        """Forget the orders; joblib's idle workers end by themselves."""
        self.orders.withdraw()


def in_worker(task: Task, orders: Orders) -> Ended:
    """Run a task; Ctrl-C of the terminal, which reaches a worker process too, is not for it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return run(task, orders)
