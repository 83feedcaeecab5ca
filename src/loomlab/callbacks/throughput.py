"""How fast a run goes and how much memory it takes."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl

from loomlab.callbacks.logged_steps import is_logged, send
from loomlab.measure.memory import peak_memory_bytes


class Throughput(pl.Callback):
    """Log tokens per second since the last logged step, and the peak memory of the process."""

    def __init__(self) -> None:
        self.since = 0.0
        self.steps_then = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._restart(trainer.global_step)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the time of a validation out."""
        self._restart(trainer.global_step)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Log at the steps the trainer logs."""
        step = trainer.global_step
        if not is_logged(trainer, step) or step <= self.steps_then:
            return
        context: Any = pl_module.context
        tokens = (step - self.steps_then) * context.tokens_per_step
        numbers: dict[str, float] = {
            "train/tokens_per_second": tokens / max(time.monotonic() - self.since, 1e-9),
            "system/peak_memory_bytes": float(peak_memory_bytes()),
        }
        send(trainer, numbers)
        self._restart(step)

    def _restart(self, step: int) -> None:
        self.since, self.steps_then = time.monotonic(), step
