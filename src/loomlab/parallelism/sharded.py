"""What options share that cut the model itself up over processes."""

from __future__ import annotations

import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule

from loomlab.parallelism.launcher import WorkerLauncher


class RunFolderModelParallel(ModelParallelStrategy):
    """Lightning's strategy for cut models, with our launcher and states that are one whole file.

    A whole file is what any other option can resume from, on any number of processes.
    """

    def __init__(
        self, run_dir: Path, timeout: float, whole: Whole, copies: int, cuts: int
    ) -> None:
        """`copies` of the model train on different rows; each is cut by its tensors in `cuts`."""
        super().__init__(
            data_parallel_size=copies, tensor_parallel_size=cuts,
            save_distributed_checkpoint=False, timeout=timedelta(seconds=timeout),
        )  # fmt: skip
        self.run_dir, self.whole = run_dir, whole

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = WorkerLauncher(
            self.run_dir, self.cluster_environment, self.num_processes, self.num_nodes
        )

    def load_checkpoint(
        self, checkpoint_path: Any, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Take up the state that any option has saved; each process keeps its part.

        Lightning's own way takes the numbers of an optimizer's state for places among the
        model's parameters. In the file of an optimizer with several groups they are places
        among those of the groups.
        """
        path = Path(self.broadcast(checkpoint_path))
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        whole = StateDictOptions(full_state_dict=True)
        assert self.model is not None
        weights = {name: self.own(name, value) for name, value in saved["state_dict"].items()}
        set_model_state_dict(self.model, weights, options=whole)
        for optimizer, state in zip(self.optimizers, saved["optimizer_states"], strict=True):
            named = by_name(state, optimizer, self.model)
            named["state"] = {
                name: {key: self.own(name, value) for key, value in values.items()}
                for name, values in named["state"].items()
            }
            set_optimizer_state_dict(self.model, optimizer, named, options=whole)
        return saved

    def own(self, name: str, value: Any) -> Any:
        """What is cut up over the copies of the model, of what is saved for a weight: all."""
        return value

    def gather_model(self) -> nn.Module | None:
        """The whole model on the first process, None on the others; all of them must ask."""
        state = self.lightning_module_state_dict()
        return self.whole.filled(state) if self.global_rank == 0 else None


class Whole(pl.Callback):
    """The model as it was before it was cut up: filled with all weights where one is needed."""

    def __init__(self) -> None:
        self.skeleton: nn.Module

    def keep(self, model: nn.Module) -> None:
        """Remember the modules before they are changed, without their weights."""
        memo = {id(p): without_values(p) for p in model.parameters()}
        self.skeleton = copy.deepcopy(model, memo)

    def filled(self, state: dict[str, Any]) -> nn.Module:
        """The model with the weights of an objective's state."""
        weights = {k.removeprefix("model."): v for k, v in state.items()}
        model = self.skeleton
        model.load_state_dict(weights, assign=True)
        tie = getattr(model, "tie_weights", None)
        if tie is not None:
            tie()
        return model

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Cut up again what no backward pass does: else its parameters stay whole for now."""
        for module in pl_module.modules():
            if isinstance(module, FSDPModule):
                module.reshard()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the whole model to what follows, which the first process does alone."""
        model = trainer.strategy.gather_model()  # type: ignore[attr-defined]
        if model is not None:
            pl_module.model = model


def by_name(
    saved: dict[str, Any], optimizer: torch.optim.Optimizer, model: nn.Module
) -> dict[str, Any]:
    """The saved state of an optimizer with names of parameters in place of numbers."""
    names = {id(p): name for name, p in model.named_parameters()}
    known: dict[Any, str] = {}
    groups = []
    for now, before in zip(optimizer.param_groups, saved["param_groups"], strict=True):
        found = [names[id(p)] for p in now["params"]]
        known |= dict(zip(before["params"], found, strict=True))
        groups.append({**before, "params": found})
    return {
        "state": {known[number]: values for number, values in saved["state"].items()},
        "param_groups": groups,
    }


def without_values(parameter: nn.Parameter) -> nn.Parameter:
    """A parameter of the same shape that holds no memory."""
    empty = torch.empty_like(parameter, device="meta")
    return nn.Parameter(empty, requires_grad=parameter.requires_grad)
