"""What processes send each other while they train, and how many bytes of it."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook
from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import (
    PowerSGDState,
    powerSGD_hook,
)
from torch.nn.parallel import DistributedDataParallel

from loomlab.parallelism.message import size_of

HALF_BYTES = 2


class Traffic(pl.Callback):
    """Counts the bytes that this process has handed to all-reduce; the summary tells them.

    On the wire a ring of n processes sends 2 (n - 1) / n of them.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent = 0
        self.tokens = 0  # of all processes
        self.processes = 1

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what the bytes were spent on."""
        context: Any = pl_module.context
        self.tokens = trainer.global_step * context.tokens_per_step
        self.processes = trainer.world_size

    def report(self) -> dict[str, Any]:
        """Bytes of one process, and of all of them for each token of training."""
        return {
            "communication": self.name,
            "bytes_sent": self.sent,
            "bytes_sent_per_token": round(self.sent * self.processes / max(self.tokens, 1), 3),
        }

    def state_dict(self) -> dict[str, Any]:
        """What was sent so far, for a run that is resumed."""
        return {"sent": self.sent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self.sent = state_dict["sent"]


class Gradients:
    """Gradients as they are: DDP's own averaging, which needs no hook."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.calls = 0  # of the hook

    def attach(self, model: DistributedDataParallel) -> None:
        """Have the gradients of a model go this way."""

    def size(self, trained: list[nn.Parameter]) -> float:
        """Bytes that are handed to all-reduce in a step, in the long run."""
        return float(sum(map(size_of, trained)))

    def after_backward(self, model: DistributedDataParallel) -> None:
        """Count what a backward pass has sent; nothing while micro-steps accumulate."""
        if model.require_backward_grad_sync:
            trained = (p for p in model.parameters() if p.requires_grad)
            self.traffic.sent += sum(p.numel() * p.element_size() for p in trained)


class HalfGradients(Gradients):
    """Gradients as 16-bit floats: half the bytes."""

    def attach(self, model: DistributedDataParallel) -> None:
        """Register the hook."""
        model.register_comm_hook(None, self.hook)

    def size(self, trained: list[nn.Parameter]) -> float:
        """Half of 32 bits."""
        return float(sum(p.numel() for p in trained) * HALF_BYTES)

    def after_backward(self, model: DistributedDataParallel) -> None:
        """The hook counts."""

    # DDP reads the annotations of a hook and wants its own types, not their names.
    def hook(self, state, bucket):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """Average one bucket of gradients."""
        self.calls += 1
        self.traffic.sent += bucket.buffer().numel() * HALF_BYTES
        return fp16_compress_hook(None, bucket)  # type: ignore[arg-type]


class LowRankGradients(HalfGradients):
    """Gradient matrices as products of two thin ones, with error feedback (Vogels et al. 2019).

    The first `start` steps average the gradients themselves: they are far from low rank, and DDP
    sorts its buckets anew after the first. The error that is fed back is not saved: a resumed run
    begins with such steps again.
    """

    def __init__(self, traffic: Traffic, rank: int, start: int) -> None:
        super().__init__(traffic)
        self.state = PowerSGDState(None, matrix_approximation_rank=rank, start_powerSGD_iter=start)
        self.rank = rank

    def size(self, trained: list[nn.Parameter]) -> float:
        """The thin matrices, where they are smaller than the whole ones by what PowerSGD asks."""
        total = 0
        for parameter in trained:
            rows = parameter.shape[0] if parameter.ndim else 1
            columns = parameter.numel() // max(1, rows)
            thin = self.rank * (rows + columns)
            smaller = thin * self.state.min_compression_rate < parameter.numel()
            matrix = parameter.ndim > 1 and smaller
            total += (thin if matrix else parameter.numel()) * parameter.element_size()
        return float(total)

    def hook(self, state, bucket):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """Average one bucket of gradients."""
        self.calls += 1
        buffer: torch.Tensor = bucket.buffer()
        plain = self.state.iter < self.state.start_powerSGD_iter
        before = self.state.total_numel_after_compression
        result = powerSGD_hook(self.state, bucket)
        # It sends several messages, each once the one before has come. Those of two buckets would
        # overtake each other differently in every process, and gloo then takes one for another.
        result.wait()
        sent = self.state.total_numel_after_compression - before
        self.traffic.sent += (buffer.numel() if plain else sent) * buffer.element_size()
        return result


def on_rank_zero(value: Any) -> list[Any] | None:
    """The values of all processes, by rank, on the first one; None on the others."""
    if not dist.is_initialized():
        return [value]
    rank, size = dist.get_rank(), dist.get_world_size()
    found: list[Any] | None = [None] * size if rank == 0 else None
    dist.gather_object(value, found, dst=0)
    return found
