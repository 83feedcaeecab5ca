"""Distributed data parallelism: every process holds the whole model and a share of the batch."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from loomlab.parallelism.base import Parallelism, in_nodes
from loomlab.parallelism.communication import (
    Gradients,
    HalfGradients,
    LowRankGradients,
    Traffic,
)
from loomlab.parallelism.launcher import WorkerLauncher
from loomlab.parallelism.message import Message, size_of


class DDP(Parallelism):
    """Data parallel over processes (gloo on CPU, nccl on GPU), gradients averaged.

    `communication` is how the gradients travel: as they are (none), as 16-bit floats (fp16), or
    as matrices of rank `power_sgd_rank` from step `power_sgd_start` on (power_sgd, which changes
    the result). The summary tells the bytes. `timeout` seconds is what a process waits for the
    others; then the run ends and says which one hangs. torchrun and srun decide devices and
    num_nodes themselves.
    """

    def __init__(
        self,
        devices: Annotated[int, "[1, 1024]"] = 2,
        num_nodes: Annotated[int, "[1, 1024]"] = 1,
        timeout: Annotated[float, "[1, inf)"] = 300.0,
        communication: Literal["none", "fp16", "power_sgd"] = "none",
        power_sgd_rank: Annotated[int, "[1, inf)"] = 4,
        power_sgd_start: Annotated[int, "[2, inf)"] = 10,
    ) -> None:
        self.devices, self.num_nodes, self.timeout = devices, num_nodes, timeout
        self.traffic = Traffic(communication)
        ways = {
            "none": lambda: Gradients(self.traffic),
            "fp16": lambda: HalfGradients(self.traffic),
            "power_sgd": lambda: LowRankGradients(self.traffic, power_sgd_rank, power_sgd_start),
        }
        self.gradients = ways[communication]()

    def strategy(self, run_dir: Path) -> DDPStrategy:
        """DDP whose further processes start from the config recorded in the run folder."""
        return AveragedGradients(run_dir, self.timeout, self.gradients)

    def callbacks(self) -> list[pl.Callback]:
        """The count of bytes."""
        return [self.traffic]

    @classmethod
    def layouts(cls, count: int, per_node: int, rows: int) -> list[dict[str, int]]:
        """All devices alike."""
        return [in_nodes(count, per_node)] if count > 1 else []

    def messages(self, trained: list[nn.Parameter]) -> list[Message]:
        """The gradients, once a step, while the backward pass goes on."""
        return [Message("all_reduce", self.gradients.size(trained), self.world_size)]

    def kept_aside(self, trained: list[nn.Parameter]) -> int:
        """DDP's buckets, as large as the gradients they are copied from."""
        return sum(map(size_of, trained))


class RunFolderDDP(DDPStrategy):
    """DDP that does not replay the command line, which may be a sweep, in every process."""

    def __init__(self, run_dir: Path, timeout: float) -> None:
        super().__init__(timeout=timedelta(seconds=timeout))
        self.run_dir = run_dir

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = WorkerLauncher(
            self.run_dir, self.cluster_environment, self.num_processes, self.num_nodes
        )


class AveragedGradients(RunFolderDDP):
    """DDP whose gradients travel in a way of ours; Lightning takes a hook on GPUs only."""

    def __init__(self, run_dir: Path, timeout: float, gradients: Gradients) -> None:
        super().__init__(run_dir, timeout)
        self.gradients = gradients

    def _register_ddp_hooks(self) -> None:
        assert isinstance(self.model, DistributedDataParallel)
        self.gradients.attach(self.model)

    def post_backward(self, closure_loss: Tensor) -> None:
        """Count what the gradients of this micro-step have sent."""
        super().post_backward(closure_loss)
        if isinstance(self.model, DistributedDataParallel):
            self.gradients.after_backward(self.model)
