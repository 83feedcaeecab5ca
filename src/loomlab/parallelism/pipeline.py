"""Pipeline parallelism: each process holds some blocks, and micro-batches flow through them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytorch_lightning as pl
from torch import Tensor, nn

from loomlab.objective.base import Batch
from loomlab.parallelism.base import Parallelism, in_nodes
from loomlab.parallelism.message import Message, size_of
from loomlab.parallelism.pipeline_strategy import Pipelined
from loomlab.parallelism.sharded import Whole
from loomlab.parallelism.staged_part import staged_part
from loomlab.parallelism.stages import held, require_stages, weights_of


class Pipeline(Parallelism):
    """Blocks cut into stages, one per process; the result is that of one process.

    gpipe (Huang et al. 2019, arXiv 1811.06965) takes all micro-batches forward, then all back;
    1f1b (Narayanan et al. 2019, PipeDream-Flush in arXiv 2006.09503) goes back as soon as it can,
    and keeps the activations of as many micro-batches as there are stages. Idle is a share of
    (stages - 1) / (micro_batches + stages - 1) of the time. With `data_parallel` copies there are
    devices / data_parallel stages. A batch is held out as one piece.
    """

    partial_state = False
    problem_check = "loomlab.parallelism.pipeline_checks.problems"
    requires = {
        "model.trained_by": ("gradient",),
        "model.staged": (True,),
        "objective.staged": (True,),
        "regularization.staged": (True,),
        "regularization.shows": ("weights",),
        "compression.staged": (True,),
        "compile.staged": (True,),
        "callbacks.staged": (True,),
    }
    because = {
        "model.trained_by": "counts have no gradient",
        "model.staged": "it does not say how its blocks follow each other",
        "objective.staged": "its head reads more than hidden states",
        "regularization.staged": "layers would be dropped for each micro-batch anew",
        "regularization.shows": "each process would keep the average of its own blocks",
        "compression.staged": "it changes or reads the whole model, and a process holds some "
        "blocks of it",
        "compile.staged": "what would be compiled is the whole model, and a process holds some "
        "blocks of it",
        "callbacks.staged": "it looks at the whole model in training steps, and a process holds "
        "some blocks of it",
    }

    def __init__(
        self,
        devices: Annotated[int, "[2, 1024]"] = 2,
        num_nodes: Annotated[int, "[1, 1024]"] = 1,
        timeout: Annotated[float, "[1, inf)"] = 300.0,
        schedule: Literal["gpipe", "1f1b"] = "1f1b",
        micro_batches: Annotated[int, "[1, inf)"] = 4,
        data_parallel: Annotated[int, "[1, 1024]"] = 1,
    ) -> None:
        """`micro_batches` are the parts that each copy's rows of a step are cut into."""
        self.devices, self.num_nodes, self.timeout = devices, num_nodes, timeout
        self.schedule, self.micro_batches = schedule, micro_batches
        self.data_parallel = data_parallel
        self.whole = Whole()

    @property
    def stages(self) -> int:
        """Parts that the model is cut into."""
        return self.world_size // self.data_parallel

    @property
    def shares(self) -> int:
        """Copies of the model, each with rows of its own."""
        return self.data_parallel

    def share(self, rank: int) -> int:
        """Neighbouring ranks are the stages of one copy."""
        return rank // self.stages

    def strategy(self, run_dir: Path) -> Pipelined:
        """Our own: Lightning has none."""
        self.running = Pipelined(
            run_dir, self.timeout, self.stages, self.schedule, self.micro_batches, self.whole
        )
        return self.running

    def callbacks(self) -> list[pl.Callback]:
        """The gathering of the weights at the end."""
        return [self.whole]

    def check(self, model: nn.Module) -> None:
        """Refuse a model that cannot be cut into so many stages.

        Raises:
            InputError: it is not built of blocks of this package, or of too few of them.
        """
        require_stages(model, self.stages)

    @classmethod
    def layouts(cls, count: int, per_node: int, rows: int) -> list[dict[str, int]]:
        """Up to a node's devices in a row, and as many micro-batches as fill it well."""
        found = []
        for stages in range(2, min(count, per_node) + 1):
            copies, rest = divmod(count, stages)
            own = rows // max(1, copies)
            parts = [n for n in range(stages, 4 * stages + 1) if own % n == 0]
            if not rest and rows % copies == 0 and parts:
                more = {"data_parallel": copies, "micro_batches": parts[-1]}
                found.append({**in_nodes(count, per_node), **more})
        return found

    @property
    def unlike_ranks(self) -> dict[int, int]:
        """The first stage, the last one, and those between, which are like each other."""
        copies, between = self.data_parallel, self.stages - 2
        inner = {1: between * copies} if between else {}
        return {0: copies, self.stages - 1: copies, **inner}

    @property
    def idle(self) -> float:
        """While the pipeline fills and empties."""
        return (self.stages - 1) / (self.micro_batches + self.stages - 1)

    def part(self, objective: Any, rank: int) -> Callable[[Batch], Tensor]:
        """The micro-batches of a stage, in the order of the schedule."""
        ends = [held(objective.model, self.stages, s) for s in (0, self.stages - 1)]
        first, last = (weights_of(objective.model, paths) for paths in ends)
        weights = {id(p): p for p in objective.model.parameters()}
        self.tied = sum(size_of(weights[key]) for key in first & last)
        in_flight = self.micro_batches
        if self.schedule == "1f1b":
            in_flight = min(in_flight, self.stages - rank % self.stages)
        return staged_part(objective, self.stages, rank, self.micro_batches, in_flight)

    def messages(self, trained: list[nn.Parameter]) -> list[Message]:
        """The gradients, averaged over copies; those of tied weights are of both ends."""
        ends = [Message("all_reduce", self.tied, 2, self.stages - 1, True)] if self.tied else []
        size = sum(map(size_of, trained))
        return [*ends, Message("all_reduce", size, self.data_parallel, self.stages, True)]

    def kept_aside(self, trained: list[nn.Parameter]) -> int:
        """The message of all gradients, where there are copies."""
        return sum(map(size_of, trained)) if self.data_parallel > 1 else 0

    def clip(self, parameters: Iterable[nn.Parameter], most: float) -> None:
        """By the norm over all stages."""
        self.running.clip_gradients(most)
