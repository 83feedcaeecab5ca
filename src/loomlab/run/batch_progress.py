"""Batches that a resumed run has behind it, counted in the micro-steps it takes now."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl


class BatchProgress(pl.Callback):
    """Lets a run go on with another number of micro-steps per optimizer step.

    Lightning counts batches: by them it knows when a step is complete and a validation is due. A
    state is saved between optimizer steps, so as many batches belong to each step before it.
    """

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Count anew what the loops take up after this."""
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        steps = checkpoint["global_step"]
        if not steps:
            return
        before = round(progress["total"]["ready"] / steps)
        for counts in (progress["total"], progress["current"]):
            for name, count in counts.items():
                counts[name] = count // before * trainer.accumulate_grad_batches
