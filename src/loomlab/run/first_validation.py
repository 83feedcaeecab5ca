"""A validation before the first step: what the weights that a run begins with can do."""

from __future__ import annotations

import pytorch_lightning as pl


class ValidateAtStart(pl.Callback):
    """Validates at step 0 where `trainer.val_at_start` asks for it; not when a run is resumed."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate as Lightning does between two steps; nothing is drawn, nothing is learned."""
        if not trainer.val_at_start or trainer.global_step:  # type: ignore[attr-defined]
            return
        connector = trainer._logger_connector
        first = connector._first_loop_iter
        trainer.validating = True
        trainer.fit_loop.epoch_loop.val_loop.run()
        trainer.training = True
        connector._first_loop_iter = first
