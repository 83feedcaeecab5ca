"""Checkpoints: the last state, to resume from, and the best one, to keep."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl

LAST = "last.ckpt"
BEST = "best.ckpt"


class Checkpoint(pl.Callback):
    """Save the last state every N steps and at the end, and the best by a held-out metric."""

    def __init__(
        self,
        every_n_train_steps: Annotated[int, "[1, inf)"] | None = None,
        keep_best: bool = True,
        monitor: str = "val/bits_per_byte",
    ) -> None:
        """Lower `monitor` is better; `every_n_train_steps` of None saves at each validation."""
        self.every_n_train_steps = every_n_train_steps
        self.keep_best = keep_best
        self.monitor = monitor
        self.best = math.inf
        self.best_step = 0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Save the last state when its turn has come."""
        every = self.every_n_train_steps
        if every and trainer.global_step % every == 0 and _just_stepped(trainer):
            save(trainer, LAST)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the best state when the metric has improved."""
        value = trainer.callback_metrics.get(self.monitor)
        if value is not None and self.keep_best and float(value) < self.best:
            self.best, self.best_step = float(value), trainer.global_step
            save(trainer, BEST)
        if self.every_n_train_steps is None:
            save(trainer, LAST)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the state that training ended in."""
        save(trainer, LAST)

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, so that a resumed run does not forget it."""
        return {"best": self.best, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best value of the run before."""
        self.best, self.best_step = state_dict["best"], state_dict["best_step"]


def _just_stepped(trainer: pl.Trainer) -> bool:
    """Whether this micro-batch closed an optimizer step."""
    return (trainer.fit_loop.batch_idx + 1) % trainer.accumulate_grad_batches == 0


def save(trainer: pl.Trainer, name: str) -> None:
    """Save a checkpoint under its final name only once it is complete; called on every rank."""
    folder = Path(trainer.default_root_dir) / "checkpoints"
    final, partial = folder / name, folder / f".{name}.partial"
    trainer.save_checkpoint(partial, weights_only=False)
    if trainer.is_global_zero:
        partial.replace(final)
