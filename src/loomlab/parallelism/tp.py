"""Tensor parallelism: every process holds a part of each layer, and all read the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor, nn

from loomlab.errors import InputError
from loomlab.measure.whole import whole
from loomlab.model.block import MLP, SelfAttention
from loomlab.parallelism.base import Parallelism
from loomlab.parallelism.ddp import RunFolderDDP
from loomlab.parallelism.sequence import SumOfParts, share_tokens
from loomlab.parallelism.sharded import Whole
from loomlab.parallelism.split import (
    by_inputs,
    by_outputs,
    clip_by_norm,
    cut_of,
)
from loomlab.parallelism.vocabulary import share_vocabulary


class TP(Parallelism):
    """The heads of each attention and the inner width of each MLP shared out to processes.

    Embeddings, norms and the head are whole in every process. Two all-reduces of the hidden
    states in each block and direction (Shoeybi et al. 2019, section 3); the result is that of
    one process, gradients being clipped by their norm over all parts.
    """

    one_share = True
    partial_state = False
    problem_check = "loomlab.parallelism.tp_checks.problems"
    requires = {
        "model.trained_by": ("gradient",),
        "model.tensor_parallel": (True,),
        "position.tensor_parallel": (True,),
        "optimizer.tensor_parallel": (True,),
        "compression.tensor_parallel": (True,),
        "compression.method": ("lora", "pissa"),
        "compile.tensor_parallel": (True,),
        "callbacks.tensor_parallel": (True,),
    }
    because = {
        "model.trained_by": "counts have no gradient",
        "model.tensor_parallel": "there is no plan of its layers",
        "position.tensor_parallel": "its bias is of all heads, and a process has some of them",
        "optimizer.tensor_parallel": "it reads whole matrices, and a process holds a part of each",
        "compression.tensor_parallel": "it changes or reads whole matrices, and a process holds a "
        "part of each",
        "compression.method": "the length of a column is of a whole matrix, and a process holds a "
        "part of each",
        "compile.tensor_parallel": "its sums over processes are not compiled",
        "callbacks.tensor_parallel": "it measures whole layers, and a process holds a part of "
        "each",
    }

    def __init__(
        self,
        devices: Annotated[int, "[1, 64]"] = 2,
        timeout: Annotated[float, "[1, inf)"] = 300.0,
        sequence_parallel: bool = False,
        loss_parallel: bool = False,
    ) -> None:
        """`sequence_parallel`: between these layers each process keeps some tokens' states.

        `loss_parallel`: each holds some tokens of the head, and of an embedding tied to it.
        """
        self.devices, self.timeout = devices, timeout
        self.sequence_parallel, self.loss_parallel = sequence_parallel, loss_parallel
        self.sum_of_parts = SumOfParts()
        self.whole = Whole()

    @classmethod
    def layouts(cls, count: int, per_node: int, rows: int) -> list[dict[str, int]]:
        """Within a node: its messages are waited for."""
        return [{"devices": count}] if 1 < count <= per_node else []

    def strategy(self, run_dir: Path) -> Parts:
        """Processes that hold parts of one model."""
        return Parts(run_dir, self.timeout, self.whole)

    def callbacks(self) -> list[pl.Callback]:
        """The gathering of the weights at the end, and of gradients that lie in parts."""
        return [self.whole, self.sum_of_parts]

    def check(self, model: nn.Module) -> None:
        """Refuse a model whose layers cannot be shared out evenly.

        Raises:
            InputError: naming the setting, and the numbers of processes that would do.
        """
        require_even(model, self.devices, "parallelism.devices")

    def spread(self, model: nn.Module, mesh: Any) -> None:
        """Keep this process's heads and its part of each MLP."""
        self.whole.keep(model)
        share_out(model)
        if self.sequence_parallel:
            self.sum_of_parts.seen = share_tokens(model)
        if self.loss_parallel:
            share_vocabulary(model)

    def clip(self, parameters: Iterable[nn.Parameter], most: float) -> None:
        """By the norm over the parts of all processes."""
        clip_by_norm(parameters, most)


def require_even(model: nn.Module, parts: int, key: str) -> None:
    """Refuse a model whose layers cannot be shared out evenly to so many processes.

    Raises:
        InputError: naming the setting `key`, and the numbers that would do.
    """
    for layer in model.modules():
        if isinstance(layer, SelfAttention) and layer.heads % parts:
            fits = [str(n) for n in range(1, layer.heads + 1) if layer.heads % n == 0]
            raise InputError(
                f"{key}={parts} does not divide model.heads={layer.heads}; give one of "
                f"{', '.join(fits)}"
            )
        if isinstance(layer, MLP) and layer.out.in_features % parts:
            raise InputError(
                f"{key}={parts} does not divide the inner width {layer.out.in_features} of the "
                f"MLPs; change model.mlp_ratio or {key}"
            )


def share_out(model: nn.Module, group: Any = None) -> None:
    """Keep of each attention and each MLP what is for this process of a group."""
    for layer in list(model.modules()):
        if isinstance(layer, SelfAttention):
            layer.heads //= dist.get_world_size(group)
            layer.qkv = by_outputs(layer.qkv, 3, group)  # type: ignore[assignment]
            layer.out = by_inputs(layer.out, group)  # type: ignore[assignment]
        elif isinstance(layer, MLP):
            gated = layer.up.out_features // layer.out.in_features  # swiglu: gate and value
            layer.up = by_outputs(layer.up, gated, group)  # type: ignore[assignment]
            layer.out = by_inputs(layer.out, group)  # type: ignore[assignment]


class Parts(RunFolderDDP):
    """Processes that exchange no gradients, and whose states are saved whole."""

    def __init__(self, run_dir: Path, timeout: float, whole: Whole) -> None:
        super().__init__(run_dir, timeout)
        self.whole = whole

    def configure_ddp(self) -> None:
        """Wrap nothing: what all processes have, they compute alike."""

    def gather_model(self) -> nn.Module | None:
        """The whole model on the first process, None on the others; all of them must ask."""
        state = self.lightning_module_state_dict()
        return self.whole.filled(state) if self.global_rank == 0 else None

    def _weights(self) -> dict[str, nn.Parameter]:
        assert self.lightning_module is not None
        return dict(self.lightning_module.named_parameters(remove_duplicate=False))

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """All weights; to be called by all processes."""
        weights = self._weights()
        return {
            name: whole(value, weights.get(name))
            for name, value in super().lightning_module_state_dict().items()
        }

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Keep this process's part of weights that were saved whole."""
        weights = self._weights()
        parts = {
            name: here(value, weights.get(name))
            for name, value in checkpoint["state_dict"].items()
        }
        super().load_model_state_dict({**checkpoint, "state_dict": parts}, strict)

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """The state of the optimizer for whole weights; to be called by all processes."""
        return whole_state(optimizer)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Keep this process's part of states that were saved whole."""
        states = []
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            state = dict(saved["state"])
            numbers = [n for group in saved["param_groups"] for n in group["params"]]
            for number, parameter in zip(numbers, in_order(optimizer), strict=True):
                kept = state.get(number, {})
                state[number] = {key: here(value, parameter) for key, value in kept.items()}
            states.append({**saved, "state": {k: v for k, v in state.items() if v}})
        super().load_optimizer_state_dict({**checkpoint, "optimizer_states": states})


def here(value: Any, weight: Tensor | None) -> Any:
    """This process's part of what was saved for a weight; numbers are the same for all."""
    cut = None if weight is None else cut_of(weight)
    return cut.here(value) if cut and isinstance(value, Tensor) and value.ndim else value


def whole_state(optimizer: Any) -> dict[str, Any]:
    """An optimizer's state for whole weights; all processes must ask for it."""
    state: dict[str, Any] = getattr(optimizer, "optimizer", optimizer).state_dict()
    for number, parameter in enumerate(in_order(optimizer)):
        kept = state["state"].get(number)
        if kept:
            state["state"][number] = {
                key: whole(v, parameter) if _is_like(v, parameter.shape) else v
                for key, v in kept.items()
            }
    return state


def in_order(optimizer: Any) -> list[nn.Parameter]:
    """Parameters as the numbers in an optimizer's state count them."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def _is_like(value: Any, shape: torch.Size) -> bool:
    return isinstance(value, Tensor) and value.shape == shape
