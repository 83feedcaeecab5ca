"""A validation before the first step: what the weights that a run begins with can do."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from loomlab.callbacks.checkpoint import random_state, set_random_state


class ValidateAtStart(pl.Callback):
    """Validates at step 0 where `trainer.val_at_start` asks for it; training stays the same bits.

    A loader draws a number when it is opened, which is given back before a state is saved.
    """

    before: dict[str, Any] | None = None  # the random state, while this validation lasts

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate as Lightning does between two steps; a run resumed from later ones does not."""
        if not trainer.val_at_start or trainer.global_step:  # type: ignore[attr-defined]
            return
        connector = trainer._logger_connector
        first = connector._first_loop_iter
        self.before = random_state()
        trainer.validating = True
        trainer.fit_loop.epoch_loop.val_loop.run()
        trainer.training = True
        connector._first_loop_iter = first
        set_random_state(self.before)
        self.before = None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go back to the random state of training."""
        if self.before is not None:
            set_random_state(self.before)
