"""Local SGD: processes train apart and average what they have learned once in a while."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.overrides.distributed import _sync_module_states
from torch import Tensor, nn

from loomlab.callbacks.checkpoint import just_stepped
from loomlab.parallelism.base import Parallelism
from loomlab.parallelism.communication import Traffic, on_rank_zero
from loomlab.parallelism.ddp import RunFolderDDP
from loomlab.parallelism.message import Message, size_of
from loomlab.regularization.ema import trained_weights

Weights = dict[str, Tensor]


class LocalSGD(Parallelism):
    """Inner steps on each process alone, and an outer step of their mean change now and then.

    DiLoCo (Douillard et al. 2023, algorithm 1): after `sync_every` steps of the chosen optimizer
    the change of the weights, averaged over processes, is the gradient of an outer SGD with
    Nesterov momentum. Each process keeps the state of its own inner optimizer. Unlike all other
    options of this axis it is another algorithm: the result depends on the number of processes.
    With sync_every=1, outer_lr=1, outer_momentum=0 and plain SGD, unclipped, it is ddp.

    What is validated, sampled and saved is the mean of the processes' weights. A checkpoint holds
    the weights and optimizers of all processes, and resumes exactly with as many; with another
    number each starts from the mean.
    """

    same_gradients = False  # each process steps by its own
    requires = {
        "model.trained_by": ("gradient",),
        "regularization.shows": ("weights",),
        "optimizer.shows": ("weights",),
    }
    because = {
        "model.trained_by": "counts take no steps",
        "regularization.shows": "what is validated is the mean over processes; there is no room "
        "for a second average",
        "optimizer.shows": "what is validated is the mean over processes; there is no room for a "
        "second average",
    }

    def __init__(
        self,
        devices: Annotated[int, "[1, 1024]"] = 2,
        num_nodes: Annotated[int, "[1, 1024]"] = 1,
        timeout: Annotated[float, "[1, inf)"] = 300.0,
        sync_every: Annotated[int, "[1, inf)"] = 50,
        outer_lr: Annotated[float, "(0, inf)"] = 0.7,
        outer_momentum: Annotated[float, "[0, 1)"] = 0.9,
    ) -> None:
        """`outer_lr` and `outer_momentum` are the paper's; its `sync_every` is 500."""
        self.devices, self.num_nodes, self.timeout = devices, num_nodes, timeout
        self.traffic = Traffic("local_sgd")
        self.rounds = Rounds(sync_every, outer_lr, outer_momentum, self.traffic)

    def strategy(self, run_dir: Path) -> RunFolderDDP:
        """Processes that start alike and then go apart."""
        return Apart(run_dir, self.timeout, self.rounds)

    def callbacks(self) -> list[pl.Callback]:
        """The outer steps, and the count of bytes."""
        return [self.rounds, self.traffic]

    def messages(self, trained: list[nn.Parameter]) -> list[Message]:
        """The change of the weights at the end of a round; its share of each step."""
        size, share = sum(map(size_of, trained)), 1 / self.rounds.every
        return [Message("all_reduce", size, self.world_size, waited_for=True, count=share)]

    def kept_aside(self, trained: list[nn.Parameter]) -> int:
        """The weights a round began with, and the outer momentum."""
        return sum(map(size_of, trained)) * (2 if self.rounds.momentum else 1)


class Rounds(pl.Callback):
    """Takes the outer steps, and shows the mean of the weights where it is asked for."""

    def __init__(self, every: int, lr: float, momentum: float, traffic: Traffic) -> None:
        self.every, self.lr, self.momentum, self.traffic = every, lr, momentum, traffic
        self.anchor: Weights = {}  # where the round began
        self.outer: torch.optim.SGD
        self.own: Weights | None = None  # of this process, while the model shows the mean
        self.saved: dict[str, Any] = {}
        self.optimizer: torch.optim.Optimizer
        self.module: nn.Module

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the first round, or go on in the middle of one."""
        self.begin(pl_module, trainer.optimizers[0])

    def begin(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Take over the weights of a module, which are the same in all processes."""
        self.module, self.optimizer = module, optimizer
        weights, saved = trained_weights(module), self.saved
        before = saved.get("anchor", weights)
        self.anchor = {k: before[k].detach().to(w.device, copy=True) for k, w in weights.items()}
        self.outer = torch.optim.SGD(
            self.anchor.values(), self.lr, self.momentum, nesterov=self.momentum > 0
        )
        if saved:
            self.outer.load_state_dict(saved["outer"])
            if len(saved["processes"]) == world_size():
                mine = saved["processes"][dist.get_rank() if dist.is_initialized() else 0]
                copy(mine["weights"], weights)
                optimizer.load_state_dict(mine["optimizer"])
        self.saved = {}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Train on this process's own weights."""
        self.show_own()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """End the round when its turn has come."""
        if just_stepped(trainer) and trainer.global_step % self.every == 0:
            self.step()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate the mean."""
        if self.anchor:
            self.show_mean()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the mean in the model."""
        self.show_mean()

    @torch.no_grad()
    def step(self) -> None:
        """The outer step: from the anchor along the mean change of all processes."""
        weights = trained_weights(self.module)
        changes = [self.anchor[key] - weight for key, weight in weights.items()]
        for anchor, change in zip(self.anchor.values(), self.mean(changes), strict=True):
            anchor.grad = change
        self.outer.step()
        self.outer.zero_grad()
        copy(self.anchor, weights)

    def mean(self, tensors: list[Tensor]) -> list[Tensor]:
        """The mean of tensors over all processes, sent as one message of each kind."""
        found = list(tensors)
        for kind in dict.fromkeys(t.dtype for t in tensors):
            places = [i for i, t in enumerate(tensors) if t.dtype == kind]
            message = torch.cat([tensors[i].reshape(-1) for i in places])
            if dist.is_initialized():
                dist.all_reduce(message)
                self.traffic.sent += message.numel() * message.element_size()
            message /= world_size()
            parts = message.split([tensors[i].numel() for i in places])
            for i, part in zip(places, parts, strict=True):
                found[i] = part.view_as(tensors[i])
        return found

    @torch.no_grad()
    def show_mean(self) -> None:
        """Put the mean into the model; the process's own weights are kept."""
        if self.own is not None:
            return
        weights = trained_weights(self.module)
        self.own = {key: weight.detach().clone() for key, weight in weights.items()}
        mean = self.mean([w.detach() for w in weights.values()])
        copy(dict(zip(weights, mean, strict=True)), weights)

    @torch.no_grad()
    def show_own(self) -> None:
        """Put the process's own weights back."""
        if self.own is not None:
            copy(self.own, trained_weights(self.module))
            self.own = None

    def state_dict(self) -> dict[str, Any]:
        """Where the round began, and how far each process has come; called on all of them."""
        own = self.own or {k: w.detach() for k, w in trained_weights(self.module).items()}
        processes = on_rank_zero({"weights": own, "optimizer": self.optimizer.state_dict()})
        return {
            "anchor": self.anchor, "outer": self.outer.state_dict(), "processes": processes or [],
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up when training starts."""
        self.saved = state_dict


class Apart(RunFolderDDP):
    """Processes that exchange no gradients; the state they save is the mean of theirs."""

    def __init__(self, run_dir: Path, timeout: float, rounds: Rounds) -> None:
        super().__init__(run_dir, timeout)
        self.rounds = rounds

    def configure_ddp(self) -> None:
        """Start from the weights of the first process, and wrap nothing."""
        assert self.model is not None
        _sync_module_states(self.model)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The mean of all processes."""
        shown = self.rounds.own is not None
        self.rounds.show_mean()
        state = {k: v.clone() for k, v in super().lightning_module_state_dict().items()}
        if not shown:
            self.rounds.show_own()
        return state


@torch.no_grad()
def copy(source: Weights, target: Weights) -> None:
    """Write values into weights in place."""
    for key, weight in target.items():
        weight.copy_(source[key])


def world_size() -> int:
    """Processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1
