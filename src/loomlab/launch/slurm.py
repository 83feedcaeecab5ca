"""Jobs of a Slurm cluster, by submitit."""

from __future__ import annotations

import hashlib
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from loomlab.errors import InputError
from loomlab.launch.base import Ended, Launch, Task
from loomlab.launch.slurm_queue import Queue, State, outside_of_a_job
from loomlab.launch.submitted import FOLDER, Submitted, outcome

ASK_SECONDS = 10.0  # between two questions to Slurm
PATIENCE_SECONDS = 60.0  # for the result of a job that is over, on a file system that lags
SAVED = (128 + signal.SIGTERM, -signal.SIGTERM)  # a job that was told to save and end
ADVICE = {
    "OUT_OF_MEMORY": "raise launch.mem_gb",
    "TIMEOUT": "it could not save in time: raise launch.signal_delay_s",
}


class Slurm(Launch):
    """Jobs of a Slurm cluster (extra: slurm): an array for all that are submitted at once.

    A job whose time is up saves, is queued again and goes on. Jobs outlive the sweep's process:
    the same command finds them again.
    """

    problem_check = "loomlab.launch.checks.submitit_problems"
    writes_tasks: ClassVar[bool] = True
    poll_seconds = 1.0

    def __init__(
        self,
        partition: str | None = None,
        timeout_min: Annotated[int, "[1, inf)"] = 60,
        cpus_per_task: Annotated[int, "[1, inf)"] = 1,
        mem_gb: Annotated[float | None, "(0, inf)"] = None,
        gpus: Annotated[int | None, "[0, inf)"] = None,
        n_parallel: Annotated[int, "[1, inf)"] = 256,
        max_queued: Annotated[int, "[1, inf)"] = 1000,
        signal_delay_s: Annotated[int, "[0, inf)"] = 90,
        max_num_timeout: Annotated[int, "[0, inf)"] = 3,
        sbatch: dict[str, Any] = {},  # noqa: B006 - read as a literal, never changed
    ) -> None:
        """What Slurm is asked for, for each job.

        Args:
            partition: null leaves it to the cluster.
            timeout_min: minutes after which a job saves and is queued again.
            cpus_per_task: processors, and computing threads.
            mem_gb: memory; null leaves it to the cluster.
            gpus: GPUs of one node.
            n_parallel: jobs of an array that Slurm runs at a time.
            max_queued: jobs submitted at a time; the rest follows as they end.
            signal_delay_s: seconds before the end of its time at which a job is told to save.
            max_num_timeout: how often a job is queued again.
            sbatch: any other option of sbatch, by its long name: `{account: mine, qos: low}`.
        """
        self.n_parallel = n_parallel
        self.threads = cpus_per_task
        self.max_queued = max_queued
        self.max_num_timeout = max_num_timeout
        wanted = {"slurm_partition": partition, "timeout_min": timeout_min, "mem_gb": mem_gb,
                  "cpus_per_task": cpus_per_task, "gpus_per_node": gpus or None,
                  "slurm_signal_delay_s": signal_delay_s,
                  "slurm_array_parallelism": n_parallel,
                  "slurm_additional_parameters": {**sbatch} or None}  # fmt: skip
        self.parameters = {k: v for k, v in wanted.items() if v is not None}
        self.running: dict[str, tuple[str, float]] = {}  # key -> Slurm's id, and since when
        self.noticed: dict[str, float] = {}  # key -> when its job was over, without a result
        self.over: set[str] = set()  # ids of jobs that were told to have ended

    def open(self, folder: Path) -> None:
        """Name the jobs after the sweep's folder, by which they are found again.

        Raises:
            InputError: there is no Slurm here.
        """
        from submitit import AutoExecutor

        path = str(folder.resolve())
        short = re.sub(r"[^A-Za-z0-9_-]", "-", folder.name)[:40]
        self.name = f"loom-{short}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"
        self.folder = folder / FOLDER
        self.queue = Queue(self.name, ASK_SECONDS)
        try:
            self.executor = AutoExecutor(
                self.folder, cluster="slurm", slurm_max_num_timeout=self.max_num_timeout
            )
        except RuntimeError as error:
            raise InputError(
                "launch=slurm needs the commands of Slurm (srun, sbatch), which are not here: "
                "run this on a machine of the cluster, or give launch=local"
            ) from error
        self.executor.update_parameters(name=self.name, **self.parameters)

    def room(self, learns: bool) -> int:
        """Slurm queues, so all of a grid is handed over at once."""
        return self.n_parallel if learns else max(self.n_parallel, self.max_queued)

    def submit(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Submit the tasks as one array.

        Raises:
            InputError: sbatch refuses them.
        """
        from submitit.core.utils import FailedJobError

        try:
            with outside_of_a_job(), self.executor.batch():
                jobs = [self.executor.submit(Submitted(task)) for task in tasks]
        except FailedJobError as error:
            last = str(error).strip().splitlines()[-1]
            reason = re.sub("^sbatch: (error: |fatal: )?", "", last)
            raise InputError(f"launch=slurm: sbatch refused the jobs: {reason}") from error
        ids = {task.key: job.job_id for task, job in zip(tasks, jobs, strict=True)}
        for key, job_id in ids.items():
            self.running[key] = (job_id, time.monotonic())
        return ids

    def adopt(self, key: str, engine_id: str) -> bool:
        """Take up a job that is in the queue."""
        if not self.alive(engine_id):
            return False
        self.running[key] = (engine_id, time.monotonic())
        return True

    def alive(self, engine_id: str) -> bool | None:
        """Whether it is in the queue; a job that another name has is none of this sweep's."""
        if engine_id in self.over:
            return False
        self.queue.refresh()
        if not self.queue.asked:
            return None
        state = self.queue.states.get(engine_id)
        return state is not None and state.live

    # -- how they end

    def poll(self) -> list[Ended]:
        """Those that wrote their result, and those that Slurm says have ended."""
        self.queue.refresh()
        if any(end and end.exit_code in SAVED for end in map(self._written, self.running)):
            self.queue.refresh(self.poll_seconds)  # only Slurm knows whether it is queued again
        ended = [end for key in self.running if (end := self._end(key))]
        for end in ended:
            self.over.add(self.running.pop(end.key)[0])
        return ended

    def _written(self, key: str) -> Ended | None:
        from submitit.core.utils import JobPaths

        return outcome(key, JobPaths(self.folder, job_id=self.running[key][0]))

    def _end(self, key: str) -> Ended | None:
        job_id, since = self.running[key]
        state = self.queue.states.get(job_id)
        live = state is not None and state.live
        if live:
            self.noticed.pop(key, None)
        written = self._written(key)
        if written is not None:
            return None if live and written.exit_code in SAVED else written
        if live or self.queue.asked <= since:
            return None
        waited = self.queue.asked - self.noticed.setdefault(key, self.queue.asked)
        if (state is None or state.name == "COMPLETED") and waited < PATIENCE_SECONDS:
            return None
        return _told(key, state or self.queue.accounting(job_id))

    # -- being told to stop

    def stop(self, kill: bool) -> None:
        """Take waiting jobs out of the queue, and signal all processes of the running ones."""
        for state in ("PENDING", "SUSPENDED"):
            self.queue.cancel(f"--state={state}")
        self.queue.cancel("--state=RUNNING", f"--signal={'KILL' if kill else 'TERM'}")


def _told(key: str, state: State | None) -> Ended:
    """How a job ended that could not say it itself."""
    if state is None:
        return Ended(key, None, "Slurm no longer knows it, and it left no result")
    advice = ADVICE.get(state.name, "it left no result")
    return Ended(key, state.exit_code, f"Slurm says {state.name}: {advice}")
