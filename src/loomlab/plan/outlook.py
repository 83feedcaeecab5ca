"""What a plan tells: figures of one process, of the cluster, and of the whole run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from torch._subclasses.fake_tensor import FakeTensorMode

from loomlab.hardware.base import Hardware
from loomlab.measure.flops import training_flops_per_token
from loomlab.objective.base import Batch
from loomlab.parallelism.base import Parallelism
from loomlab.plan.estimate import estimate
from loomlab.plan.paper import cluster, paper_of
from loomlab.plan.step import Watched, materialize, rehearse
from loomlab.run.budget import total_steps
from loomlab.run.constructor import constructor

WAYS = {"plain": False, "recomputed": True}  # without and with blocks computed again


@dataclass
class Way:
    """A step as it was rehearsed by each kind of process, and how long the slowest takes."""

    fullest: Watched  # the process that needs the most memory
    seconds: float
    computing: float
    sending: float
    flops: float  # of all processes
    sent: dict[str, float]  # bytes of the process that sends the most, by collective


@dataclass
class Outlook:
    """The rehearsals of a run, and what they are multiplied by."""

    config: DictConfig
    hardware: Hardware
    parallelism: Parallelism
    ways: dict[str, Way]
    steps: int | None  # None where only the text or the clock tells

    @property
    def tokens_per_step(self) -> int:
        """Of all processes."""
        return tokens_of(self.config)

    def figures(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        fullest = next(iter(self.ways.values())).fullest
        return {
            "processes": self.parallelism.world_size,
            "hardware": self.hardware.name,
            "device_memory_bytes": round(self.hardware.memory),
            "global_batch_size": int(self.config.global_batch_size),
            "tokens_per_step": self.tokens_per_step,
            "steps": self.steps,
            "parameter_bytes": fullest.parameters,
            "gradient_bytes": fullest.gradients,
            "optimizer_bytes": fullest.states,
            "kept_aside_bytes": fullest.kept_aside,
            **{name: self._of(way) for name, way in self.ways.items()},
        }

    def _of(self, way: Way) -> dict[str, Any]:
        speed = self.tokens_per_step / way.seconds
        budget = self.config.budget.seconds
        return {
            "activation_bytes": way.fullest.activations,
            "peak_bytes": way.fullest.peak,
            "fits": way.fullest.peak <= self.hardware.memory,
            "sent_bytes_per_step": way.sent,
            "flops_per_process": way.fullest.flops,
            "flops_per_step": way.flops,
            "seconds_per_step": way.seconds,
            "seconds_computing": way.computing,
            "seconds_sending": way.sending,
            "tokens_per_second": speed,
            "tokens_per_second_per_device": speed / self.parallelism.world_size,
            "seconds_to_budget": self.steps * way.seconds if self.steps else budget,
        }


def outlook(
    config: DictConfig, hardware: Hardware, ways: dict[str, bool] | None = None
) -> Outlook:
    """Rehearse a step of a config in each way; by default without and with recomputed blocks.

    Raises:
        InputError: it cannot be spread so.
    """
    parallelism: Parallelism = constructor(config.parallelism)()
    device = hardware.shared_by(min(parallelism.devices, hardware.devices_per_node))
    found = {
        name: _way(config, parallelism, device, recompute)
        for name, recompute in (ways or WAYS).items()
    }
    return Outlook(config, device, parallelism, found, _steps(config))


def _way(config: DictConfig, parallelism: Parallelism, device: Hardware, recompute: bool) -> Way:
    watched = []
    for rank in parallelism.unlike_ranks:
        with cluster(parallelism.world_size, rank):
            watched.append(rehearse(paper_of(config), recompute, rank))
    fused = constructor(config.compile).func.fuses
    times = [estimate(w, device, fused, parallelism.idle) for w in watched]
    slowest = max(times, key=lambda time: time.step)
    counts = parallelism.unlike_ranks.values()
    return Way(
        fullest=max(watched, key=lambda w: w.peak),
        seconds=slowest.step,
        computing=slowest.compute,
        sending=slowest.hidden + slowest.waited,
        flops=sum(w.flops * count for w, count in zip(watched, counts, strict=True)),
        sent=max((sent(w) for w in watched), key=lambda found: sum(found.values())),
    )


def _steps(config: DictConfig) -> int | None:
    """Steps of the budget."""
    if config.budget.epochs is not None:
        return None
    price = _price(config) if config.budget.flops is not None else 0.0
    return total_steps(config.budget, tokens_of(config), price, 1.0)


def _price(config: DictConfig) -> float:
    """FLOPs of a step as budgets count them."""
    with cluster(1):
        paper = paper_of(config)
        with FakeTensorMode(allow_non_fake_inputs=True) as fake:
            materialize(paper.objective.model)
            batch: Batch = {k: fake.from_tensor(v) for k, v in paper.batch.items()}
            inputs = paper.objective.model_inputs(batch)
            return training_flops_per_token(paper.objective.model, inputs) * tokens_of(config)


def tokens_of(config: DictConfig) -> int:
    """Tokens of a step of all processes."""
    return int(config.global_batch_size * config.sequence_length)


def sent(watched: Watched) -> dict[str, float]:
    """Bytes a process sends in a step, by collective."""
    found: dict[str, float] = defaultdict(float)
    for message in watched.messages:
        found[message.kind] += message.sent
    return dict(found)
