"""Two dimensions: copies of the model cut up between them, each made of parts of layers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from loomlab.measure.whole import whole
from loomlab.parallelism.base import Parallelism, in_nodes
from loomlab.parallelism.fsdp2 import shard
from loomlab.parallelism.sharded import RunFolderModelParallel, Whole
from loomlab.parallelism.split import ByInputs, ByOutputs, clip_by_norm
from loomlab.parallelism.tp import here, require_even, share_out, whole_state

Weights = dict[str, nn.Parameter]


class FSDP2TP(Parallelism):
    """Tensor parallelism within groups of neighbouring processes, FSDP2 between the groups.

    `tensor_parallel` processes read the same rows and hold parts of each layer; the
    devices / tensor_parallel groups read different rows, and each holds a part of what the layer
    parts weigh. Groups within a node keep the many small sums of tensor parallelism off the
    network (Narayanan et al. 2021, arXiv 2104.04473, section 3). The result is that of one
    process.
    """

    partial_state = False
    problem_check = "loomlab.parallelism.fsdp2_tp_checks.problems"
    requires = {
        "model.trained_by": ("gradient",),
        "model.tensor_parallel": (True,),
        "position.tensor_parallel": (True,),
        "optimizer.tensor_parallel": (True,),
        "optimizer.cut_up": (True,),
        "compression.tensor_parallel": (True,),
        "compression.method": ("lora", "pissa"),
        "compression.cut_up": (True,),
        "compile.tensor_parallel": (True,),
        "callbacks.tensor_parallel": (True,),
    }
    because = {
        "model.trained_by": "counts have no gradient",
        "model.tensor_parallel": "there is no plan of its layers",
        "position.tensor_parallel": "its bias is of all heads, and a process has some of them",
        "optimizer.tensor_parallel": "it reads whole matrices, and a process holds a part of each",
        "optimizer.cut_up": "it reads rows, columns or norms of whole matrices, and a process "
        "holds a part of each",
        "compression.tensor_parallel": "it changes or reads whole matrices, and a process holds a "
        "part of each",
        "compression.cut_up": "it changes or reads whole matrices, and a process holds a part of "
        "each",
        "compression.method": "the length of a column is of a whole matrix, and a process holds a "
        "part of each",
        "compile.tensor_parallel": "its sums over processes are not compiled",
        "callbacks.tensor_parallel": "it measures whole layers, and a process holds a part of "
        "each",
    }

    def __init__(
        self,
        devices: Annotated[int, "[4, 1024]"] = 4,
        num_nodes: Annotated[int, "[1, 1024]"] = 1,
        timeout: Annotated[float, "[1, inf)"] = 300.0,
        tensor_parallel: Annotated[int, "[2, 64]"] = 2,
        reshard_after_forward: bool = True,
    ) -> None:
        self.devices, self.num_nodes, self.timeout = devices, num_nodes, timeout
        self.tensor_parallel = tensor_parallel
        self.reshard_after_forward = reshard_after_forward
        self.whole = Whole()
        self.mesh: Any = None

    @classmethod
    def layouts(cls, count: int, per_node: int, rows: int) -> list[dict[str, int]]:
        """Groups of 2, 4, 8, ... processes within a node."""
        sizes = [2**n for n in range(1, 7) if 2**n <= per_node and count % 2**n == 0]
        return [
            {**in_nodes(count, per_node), "tensor_parallel": size}
            for size in sizes
            if count >= 2 * size and in_nodes(count, per_node)["devices"] >= 4
        ]

    @property
    def shares(self) -> int:
        """Groups, each with rows of its own."""
        return self.world_size // self.tensor_parallel

    def share(self, rank: int) -> int:
        """Neighbouring ranks are one group."""
        return rank // self.tensor_parallel

    def strategy(self, run_dir: Path) -> CutTwice:
        """Lightning's strategy with a mesh of groups x parts of layers."""
        parts = self.tensor_parallel
        return CutTwice(run_dir, self.timeout, self.whole, self.shares, parts)

    def callbacks(self) -> list[pl.Callback]:
        """The gathering of the weights at the end."""
        return [self.whole]

    def check(self, model: nn.Module) -> None:
        """Refuse a model whose layers cannot be shared out evenly.

        Raises:
            InputError: naming the setting, and the numbers that would do.
        """
        require_even(model, self.tensor_parallel, "parallelism.tensor_parallel")

    def spread(self, model: nn.Module, mesh: Any) -> None:
        """Keep this process's part of each layer, and of that its part among the groups."""
        self.mesh = mesh
        self.whole.keep(model)
        share_out(model, mesh["tensor_parallel"].get_group())
        shard(model, mesh["data_parallel"], self.reshard_after_forward)

    def clip(self, parameters: Iterable[nn.Parameter], most: float) -> None:
        """By the norm over the parts of all processes."""
        groups = [self.mesh[name].get_group() for name in ("tensor_parallel", "data_parallel")]
        clip_by_norm(parameters, most, *groups)


class CutTwice(RunFolderModelParallel):
    """Puts together what lies in the groups, then the parts of layers; and the other way round."""

    def setup(self, trainer: pl.Trainer) -> None:
        """Lightning's, after which every parameter is another one than before."""
        super().setup(trainer)
        assert self.model is not None
        for module in self.model.modules():
            if isinstance(module, ByOutputs | ByInputs):
                module.mark()

    def _weights(self) -> Weights:
        assert self.lightning_module is not None
        return dict(self.lightning_module.named_parameters(remove_duplicate=False))

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """All weights on the first process; to be called by all."""
        assert self.lightning_module is not None
        weights, found = self._weights(), {}
        for name, value in self.lightning_module.state_dict().items():
            full = whole(value, weights.get(name))
            if self.global_rank == 0:  # elsewhere one at a time is in memory
                found[name] = full.cpu()
        return found

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """The state of the optimizer for whole weights; to be called by all processes."""
        return whole_state(optimizer)

    def own(self, name: str, value: Any) -> Any:
        """The part of layers that this process's place in a group holds."""
        return here(value, self._weights().get(name)) if isinstance(value, Tensor) else value
