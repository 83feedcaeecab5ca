"""What every parallelism option offers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
from torch import Tensor, nn

from loomlab.parallelism.message import Message
from loomlab.parallelism.place import given_place

Clip = Callable[[Iterable[nn.Parameter], float], None]


class Parallelism:
    """How many processes share a run, and the Lightning strategy that joins them.

    `devices` counts the processes of one node. What a process reads depends on its share of the
    batch: processes that hold parts of one model read the same rows. `timeout` seconds is what a
    process waits for the others before the run is given up.
    """

    devices: int = 1
    same_gradients: ClassVar[bool] = True  # whether processes step by one gradient
    partial_state: ClassVar[bool] = True  # whether some weights may have no optimizer state yet
    one_share: ClassVar[bool] = False  # whether all processes read the same rows
    num_nodes: int = 1
    micro_batches: int = 1  # forward passes that the rows of a micro-step are cut into
    timeout: float = 300.0
    clip: Clip | None = None  # how gradients are clipped, where parts of them are elsewhere

    @property
    def world_size(self) -> int:
        """Processes over all nodes."""
        return self.devices * self.num_nodes

    @property
    def shares(self) -> int:
        """Parts that the global batch is cut into, one for each copy of the model."""
        return 1 if self.one_share else self.world_size

    def share(self, rank: int) -> int:
        """Which part of the batch the process of that rank reads."""
        return 0 if self.one_share else rank

    def strategy(self, run_dir: Path) -> Any:
        """Lightning strategy; `run_dir` holds the config that further processes start from."""
        return "auto"

    def callbacks(self) -> list[pl.Callback]:
        """What has to happen between the steps, or is counted for the summary."""
        return []

    def check(self, model: nn.Module) -> None:
        """Refuse a model that cannot be spread, before any process is started.

        Raises:
            InputError: naming the setting to change.
        """

    def spread(self, model: nn.Module, mesh: Any) -> None:
        """Cut the model up in place, once its processes have met; `mesh` is Lightning's."""

    # -- what `loom plan` asks, of a process that stands for others

    @classmethod
    def layouts(cls, count: int, per_node: int, rows: int) -> list[dict[str, int]]:
        """Settings worth a try that use so many devices for a step of so many rows.

        None where the option changes the result: then it is no matter of speed alone.
        """
        return []

    @property
    def unlike_ranks(self) -> dict[int, int]:
        """Ranks whose processes differ in what they hold, and how many processes are like each."""
        return {0: self.world_size}

    @property
    def idle(self) -> float:
        """The share of a step in which a process waits for its turn."""
        return 0.0

    def part(self, objective: Any, rank: int) -> Callable[[dict[str, Tensor]], Tensor]:
        """What the process of that rank does with a batch, up to its last backward pass."""
        return lambda batch: objective.training_step(batch, 0)

    def messages(self, trained: list[nn.Parameter]) -> list[Message]:
        """What a step sends beside the messages of `part` and its backward pass."""
        return []

    def kept_aside(self, trained: list[nn.Parameter]) -> int:
        """Bytes a process keeps beside weights, gradients, states and activations."""
        return 0


def in_nodes(count: int, per_node: int) -> dict[str, int]:
    """The two settings that spread processes over nodes."""
    devices = min(count, per_node)
    return {"devices": devices, "num_nodes": count // devices}


def global_rank(devices: int) -> int:
    """The rank of this process by its environment, before any process group exists."""
    place = given_place()
    if place is not None:
        return place.rank
    node, local = (int(os.environ.get(name, "0")) for name in ("NODE_RANK", "LOCAL_RANK"))
    return node * devices + local
