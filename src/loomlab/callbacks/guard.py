"""Catch a diverging run before the optimizer step that would spoil its weights."""

from __future__ import annotations

import logging
import math
import statistics
from collections import deque
from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch

from loomlab.measure.whole import local

log = logging.getLogger("loomlab")
MINIMUM_HISTORY = 16  # losses before a deviation from them means anything


class Diverged(RuntimeError):
    """The loss or a gradient is not finite, or the loss has jumped and stays there."""


class Guard(pl.Callback):
    """Before each step, look for a loss or gradient that is not finite, and for loss spikes.

    A spike is a loss more than `sigma` standard deviations above the mean of the last `window`
    steps (OLMo's SkipStepOptimizer uses 6 and 128); `patience` of them in a row end the run.
    """

    def __init__(
        self,
        action: Literal["stop", "skip"] = "stop",
        sigma: Annotated[float, "(0, inf)"] = 6.0,
        window: Annotated[int, "[16, inf)"] = 128,
        patience: Annotated[int, "[1, inf)"] = 4,
    ) -> None:
        """`skip` leaves out the step of a bad batch and ends the run after `patience` in a row."""
        self.action = action
        self.sigma = sigma
        self.patience = patience
        self.losses: deque[float] = deque(maxlen=window)
        self.bad_in_a_row = 0
        self.pending: list[torch.Tensor] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember which batch is being worked on."""
        self.batch_idx = batch_idx

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: torch.Tensor
    ) -> None:
        """Collect the losses of a step's micro-batches."""
        self.pending.append(loss.detach())

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        """Judge the step; a bad one is skipped or ends the run.

        Raises:
            Diverged: naming step and batch.
        """
        # of all processes: they must take the step or leave it out together
        loss = float(trainer.strategy.reduce(torch.stack(self.pending).sum(), reduce_op="mean"))
        self.pending = []
        why = self._complaint(loss, trainer, pl_module)
        if not why:
            self.bad_in_a_row = 0
            self.losses.append(loss)
            return
        self.bad_in_a_row += 1
        where = f"step {trainer.global_step + 1} (batch {self.batch_idx}): {why}"
        spike_is_young = why.startswith("the loss jumped") and self.bad_in_a_row < self.patience
        if self.action == "stop" and not spike_is_young:
            raise Diverged(f"{where}; stopped before the step, the last checkpoint is sound")
        if self.action == "skip":
            if self.bad_in_a_row >= self.patience:
                raise Diverged(f"{where}, the {self.bad_in_a_row}th in a row; stopped")
            log.warning("%s; the step is skipped", where)
            for parameter in pl_module.parameters():
                parameter.grad = None
        else:
            log.warning("%s", where)

    def _complaint(self, loss: float, trainer: pl.Trainer, module: pl.LightningModule) -> str:
        """What is wrong with a step; empty when nothing is."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        parts = [local(gradient) for gradient in gradients]
        norms = torch._foreach_norm(parts) if parts else []
        finite = not norms or bool(torch.stack(list(norms)).isfinite().all())
        if hasattr(trainer.strategy, "gather_model"):  # each process has gradients of a part
            finite = trainer.strategy.reduce_boolean_decision(finite)
        if not finite:
            return "a gradient is not finite"
        if len(self.losses) >= MINIMUM_HISTORY:
            mean, spread = statistics.fmean(self.losses), statistics.pstdev(self.losses)
            if loss > mean + self.sigma * max(spread, 1e-8):
                return f"the loss jumped to {loss:.4g} (mean {mean:.4g}, deviation {spread:.2g})"
        return ""

    def state_dict(self) -> dict[str, Any]:
        """The losses so far, so that a resumed run judges as the first one would."""
        return {"losses": list(self.losses), "bad_in_a_row": self.bad_in_a_row}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the losses of the run before."""
        self.losses.extend(state_dict["losses"])
        self.bad_in_a_row = state_dict["bad_in_a_row"]
