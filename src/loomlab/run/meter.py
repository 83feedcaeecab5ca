"""Training numbers at the steps that are logged, and nothing on the steps between."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from loomlab.callbacks.logged_steps import send, will_be_logged
from loomlab.objective.base import Objective


class Meter(pl.Callback):
    """Scores the micro-batches of every logged step and sends the numbers to all loggers."""

    due = 0  # the step whose micro-batches are being scored
    rate = 0.0  # of the step that was taken last

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Ask the objective for scores if this step will be logged."""
        assert isinstance(pl_module, Objective)
        if will_be_logged(trainer) and pl_module.training_scores is None:
            pl_module.training_scores = pl_module.new_scores()
            self.due = trainer.global_step + 1

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        """Note the rate the step is taken with; the schedule moves on right after it."""
        self.rate = optimizer.param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Log once the optimizer step is complete."""
        assert isinstance(pl_module, Objective)
        scores = pl_module.training_scores
        if (
            scores is None or trainer.global_step < self.due
        ):  # more micro-batches of this step are to come
            return
        pl_module.training_scores = None
        scores.reduce()
        result = scores.result()
        numbers = {f"train/{k}": v for k, v in result.items()}
        numbers["train/lr"] = self.rate
        trainer.callback_metrics["train/loss"] = result["loss"]  # type: ignore[assignment]
        send(trainer, numbers)
