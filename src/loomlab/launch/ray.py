"""Tasks of Ray."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from loomlab.errors import InputError, first_line
from loomlab.launch.base import Ended, Launch, Task
from loomlab.launch.process import Orders, run


class Ray(Launch):
    """Tasks of Ray (extra: ray), on this machine or on a cluster that has the sweep's folder."""

    problem_check = "loomlab.launch.checks.ray_problems"

    def __init__(
        self,
        n_parallel: Annotated[int, "[1, inf)"] = 1,
        threads: Annotated[int | None, "[1, inf)"] = None,
        num_cpus: Annotated[float, "[0, inf)"] = 0.0,
        num_gpus: Annotated[float, "[0, inf)"] = 0.0,
        address: str = "local",
    ) -> None:
        """Settings of Ray.

        Args:
            n_parallel: tasks at a time.
            threads: computing threads of each job; null divides the cores among the jobs.
            num_cpus: processors Ray sets aside for a task; 0 leaves it to `n_parallel`.
            num_gpus: GPUs Ray sets aside for a task, which sees only these.
            address: a cluster that runs already, `auto` to find it; `local` starts Ray here.
        """
        self.n_parallel = n_parallel
        self.threads = threads
        self.num_cpus = num_cpus
        self.num_gpus = num_gpus
        self.address = address
        self.running: dict[Any, str] = {}  # what Ray will return -> key

    def open(self, folder: Path) -> None:
        """Start Ray, or join the cluster.

        Raises:
            InputError: there is no cluster at that address.
        """
        import ray

        self.orders = Orders(folder)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
        try:
            ray.init(self.address, log_to_driver=False, logging_level=logging.ERROR,
                     include_dashboard=False if self.address == "local" else None)  # fmt: skip
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"launch.address={self.address}: {first_line(error)}") from error
        set_aside = ray.remote(num_cpus=self.num_cpus, num_gpus=self.num_gpus, max_retries=0)
        self.remote = set_aside(run)

    def submit(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Hand each task over."""
        for task in tasks:
            self.running[self.remote.remote(task, self.orders)] = task.key
        return {}

    def poll(self) -> list[Ended]:
        """Those that ended, and those whose worker is lost."""
        import ray

        ended = []
        for result in ray.wait(list(self.running), num_returns=len(self.running), timeout=0)[0]:
            key = self.running.pop(result)
            try:
                ended.append(ray.get(result))
            except ray.exceptions.RayError as error:
                ended.append(Ended(key, None, f"Ray lost it: {first_line(error)}"))
        return ended

    def stop(self, kill: bool) -> None:
        """Workers pass it on."""
        self.orders.give(kill)

    def close(self) -> None:
        """Leave Ray, and end the one that was started here."""
        import ray

        self.orders.withdraw()
        ray.shutdown()
