"""Fully sharded data parallelism: every process holds a part of all weights and of the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
from torch import nn
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

from loomlab.measure.blocks import named_blocks
from loomlab.parallelism.base import Parallelism, in_nodes
from loomlab.parallelism.sharded import RunFolderModelParallel, Whole


class FSDP2(Parallelism):
    """Weights, gradients and optimizer states cut into one part per process (FSDP2).

    A block's weights are gathered when it computes and dropped again (Zhao et al. 2023, arXiv
    2304.11277; per parameter as in torch's fully_shard). The result is that of one process.
    `reshard_after_forward` of false keeps them until the backward pass: more memory, fewer bytes.
    """

    partial_state = False
    requires = {
        "model.trained_by": ("gradient",),
        "optimizer.cut_up": (True,),
        "compression.cut_up": (True,),
    }
    because = {
        "model.trained_by": "counts have no gradient",
        "optimizer.cut_up": "it reads rows, columns or norms of whole matrices, and a process "
        "holds a part of each",
        "compression.cut_up": "it changes or reads whole matrices, and a process holds a part of "
        "each",
    }

    def __init__(
        self,
        devices: Annotated[int, "[1, 1024]"] = 2,
        num_nodes: Annotated[int, "[1, 1024]"] = 1,
        timeout: Annotated[float, "[1, inf)"] = 300.0,
        reshard_after_forward: bool = True,
    ) -> None:
        self.devices, self.num_nodes, self.timeout = devices, num_nodes, timeout
        self.reshard_after_forward = reshard_after_forward
        self.whole = Whole()

    @classmethod
    def layouts(cls, count: int, per_node: int, rows: int) -> list[dict[str, int]]:
        """All devices alike."""
        return [in_nodes(count, per_node)] if count > 1 else []

    def strategy(self, run_dir: Path) -> RunFolderModelParallel:
        """Lightning's strategy with a mesh of one dimension that counts."""
        return RunFolderModelParallel(run_dir, self.timeout, self.whole, self.world_size, 1)

    def callbacks(self) -> list[pl.Callback]:
        """The gathering of the weights at the end."""
        return [self.whole]

    def spread(self, model: nn.Module, mesh: Any) -> None:
        """Cut up each block, and the rest of the model as one group."""
        self.whole.keep(model)
        shard(model, mesh["data_parallel"], self.reshard_after_forward)


def shard(model: nn.Module, mesh: Any, reshard_after_forward: bool) -> None:
    """fully_shard each block and what is left, tied weights included."""
    for block in named_blocks(model).values():
        fully_shard(block, mesh=mesh, reshard_after_forward=reshard_after_forward)
    # The head may share its matrix with the embedding, so both are of the outermost group. It is
    # not cut up again after the forward pass: the head is computed after it, outside of it.
    fully_shard(model, mesh=mesh, reshard_after_forward=False)
    if hasattr(model, "hidden_states"):
        register_fsdp_forward_method(model, "hidden_states")
