"""Further processes of a run: started from its folder, never from the command line again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from loomlab.errors import InputError
from loomlab.parallelism.meeting import Board, join_group
from loomlab.parallelism.place import given_place
from loomlab.parallelism.roll_call import enroll


class WorkerLauncher(_SubprocessScriptLauncher):
    """Starts `python -m loomlab.run RUN_DIR` once per further process.

    Lightning would replay the command line in every process, and that may be a whole sweep.
    Processes that torchrun or srun has started are told the folder instead.
    """

    def __init__(self, run_dir: Path, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.run_dir = run_dir

    def launch(
        self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any
    ) -> Any:
        """Bring the processes together and call the function in this one."""
        self.cluster_environment.validate_settings(self.num_processes, self.num_nodes)
        place = given_place()
        if place is not None and place.rank == 0:
            Board(place).announce(self.run_dir)
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
        join_group(trainer.strategy)
        return function(*args, **kwargs)

    def _call_children_scripts(self) -> None:
        if self.num_nodes > 1:
            raise InputError(
                f"parallelism.num_nodes={self.num_nodes}: the processes of several nodes are "
                "started by torchrun or srun, with the same command on each"
            )
        self.procs = []
        environment = self.cluster_environment
        os.environ["MASTER_ADDR"] = environment.main_address
        os.environ["MASTER_PORT"] = str(environment.main_port)
        os.environ["NODE_RANK"] = str(environment.node_rank())
        os.environ["LOCAL_RANK"] = str(environment.local_rank())
        os.environ["WORLD_SIZE"] = str(self.num_processes * self.num_nodes)
        command = [sys.executable, "-m", "loomlab.run", str(self.run_dir)]
        for rank in range(1, self.num_processes):
            process = subprocess.Popen(command, env={**os.environ, "LOCAL_RANK": str(rank)})
            enroll(self.run_dir, rank, process.pid)
            self.procs.append(process)
