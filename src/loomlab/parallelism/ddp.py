"""Distributed data parallelism: every process holds the whole model and a share of the batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from loomlab.parallelism.base import Parallelism

DISTRIBUTED_VARIABLES = (
    "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
)  # fmt: skip


class DDP(Parallelism):
    """Data parallel over local processes (gloo on CPU, nccl on GPU), gradients averaged."""

    def __init__(self, devices: Annotated[int, "[1, 1024]"] = 2) -> None:
        self.devices = devices

    def strategy(self, run_dir: Path) -> DDPStrategy:
        """DDP whose further processes start from the config recorded in the run folder."""
        return _RunFolderDDP(run_dir)


class _RunFolderDDP(DDPStrategy):
    """DDP that does not replay the command line, which may be a sweep, in every process."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__()
        self.run_dir = run_dir

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = _WorkerLauncher(
            self.run_dir, self.cluster_environment, self.num_processes, self.num_nodes
        )


class _WorkerLauncher(_SubprocessScriptLauncher):
    """Starts `python -m loomlab.run.worker RUN_DIR` once per further process."""

    def __init__(self, run_dir: Path, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.run_dir = run_dir

    def _call_children_scripts(self) -> None:
        self.procs = []
        environment = self.cluster_environment
        os.environ["MASTER_ADDR"] = environment.main_address
        os.environ["MASTER_PORT"] = str(environment.main_port)
        os.environ["NODE_RANK"] = str(environment.node_rank())
        os.environ["LOCAL_RANK"] = str(environment.local_rank())
        os.environ["WORLD_SIZE"] = str(self.num_processes * self.num_nodes)
        command = [sys.executable, "-m", "loomlab.run.worker", str(self.run_dir)]
        for rank in range(1, self.num_processes):
            self.procs.append(
                subprocess.Popen(command, env={**os.environ, "LOCAL_RANK": str(rank)})
            )


def leave_group() -> None:
    """Forget a finished process group, so that the next run of this process starts its own."""
    import torch.distributed

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    for name in DISTRIBUTED_VARIABLES:
        os.environ.pop(name, None)
    rank_zero_only.rank = 0  # type: ignore[attr-defined]
