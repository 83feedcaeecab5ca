"""Jobs of submitit on this machine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from loomlab.launch.base import Ended, Launch, Task
from loomlab.launch.process import Orders
from loomlab.launch.submitted import FOLDER, Submitted, outcome

if TYPE_CHECKING:
    from submitit import Job

FOREVER_MIN = 60 * 24 * 365  # submitit knows no job without a limit
GPUS = "CUDA_VISIBLE_DEVICES"


class SubmititLocal(Launch):
    """Jobs of submitit on this machine (extra: slurm): what Slurm would do, without Slurm."""

    problem_check = "loomlab.launch.checks.submitit_problems"
    writes_tasks: ClassVar[bool] = True

    def __init__(
        self,
        n_parallel: Annotated[int, "[1, inf)"] = 1,
        threads: Annotated[int | None, "[1, inf)"] = None,
        timeout_min: Annotated[float | None, "(0, inf)"] = None,
        signal_delay_s: Annotated[int, "[0, inf)"] = 30,
        max_num_timeout: Annotated[int, "[0, inf)"] = 3,
    ) -> None:
        """Settings of submitit.

        Args:
            n_parallel: jobs at a time.
            threads: computing threads of each job; null divides the cores among the jobs.
            timeout_min: minutes after which a job saves and is started again; null is no limit.
            signal_delay_s: seconds before that at which it is told to save.
            max_num_timeout: how often it is started again.
        """
        self.n_parallel = n_parallel
        self.threads = threads
        self.timeout_min = timeout_min
        self.signal_delay_s = signal_delay_s
        self.max_num_timeout = max_num_timeout
        self.running: dict[str, Job[int]] = {}

    def open(self, folder: Path) -> None:
        """Choose the folders for pickles and orders."""
        self.folder = folder / FOLDER
        self.orders = Orders(folder)

    def submit(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Start each task, deaf to the terminal's Ctrl-C, which is for the sweep alone."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for task in tasks:
                self.running[task.key] = self._submit(task)
        finally:
            signal.signal(signal.SIGINT, before)
        return {}

    def _submit(self, task: Task) -> Job[int]:
        from submitit import LocalExecutor

        # A folder for each: submitit names results by process ids, which come again.
        folder = self.folder / f"{task.key}-{time.time_ns()}"
        executor = LocalExecutor(folder, max_num_timeout=self.max_num_timeout)
        executor.update_parameters(
            timeout_min=self.timeout_min or FOREVER_MIN, signal_delay_s=self.signal_delay_s
        )
        return executor.submit(Submitted(_with_gpus(task), self.orders))

    def poll(self) -> list[Ended]:
        """Those that ended, with or without a word."""
        ended = []
        for key, job in self.running.items():
            over = job.done()  # asked first: what it wrote is there when it is over
            end = outcome(key, job.paths)
            if end is None and over:
                end = Ended(key, None, "its submitit process is gone and left no result")
            if end is not None:
                ended.append(end)
        for end in ended:
            del self.running[end.key]
        return ended

    def stop(self, kill: bool) -> None:
        """The submitit jobs pass it on."""
        self.orders.give(kill)

    def close(self) -> None:
        """Forget the orders."""
        self.orders.withdraw()


def _with_gpus(task: Task) -> Task:
    """The task with the GPUs of this process, all of which submitit would hide from it."""
    if GPUS in os.environ:
        environment = {**task.environment, GPUS: os.environ[GPUS]}
        return replace(task, environment=environment)
    return replace(task, command=["/usr/bin/env", "-u", GPUS, *task.command])
