"""Stop when the held-out metric no longer gets better."""

from __future__ import annotations

import logging
import math
from typing import Annotated, Any, Literal

import pytorch_lightning as pl

from loomlab.callbacks.base import Watcher
from loomlab.callbacks.checkpoint import monitored

log = logging.getLogger("loomlab")


class EarlyStop(Watcher):
    """End training after `patience` validations without an improvement of the held-out metric."""

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] | None = None,
        patience: Annotated[int, "[1, inf)"] = 3,
        min_delta: Annotated[float, "[0, inf)"] = 0.0,
    ) -> None:
        """`monitor` and `mode` of None mean what the objective is compared by.

        A value must beat the best one by more than `min_delta` to count as better.
        """
        self.monitor = monitor
        self.mode = mode
        self.patience = patience
        self.min_delta = min_delta
        self.best = math.inf
        self.best_value = math.nan  # as it was logged, where `best` has the sign of less is better
        self.best_step = 0
        self.without_improvement = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop again at once where the run before had stopped, unless patience has grown."""
        self._stop_if_spent(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judge the new value, before the checkpoint of this step is saved."""
        value = monitored(trainer, pl_module, self.monitor, self.mode)
        if value is None:
            return
        if value < self.best - self.min_delta:
            self.best, self.best_step, self.without_improvement = value, trainer.global_step, 0
            self.best_value = float(trainer.callback_metrics[self._name(pl_module)])
        else:
            self.without_improvement += 1
        self._stop_if_spent(trainer, pl_module)

    def _stop_if_spent(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.without_improvement >= self.patience:
            self.name = self._name(pl_module)
            self.stopped_step = trainer.global_step
            trainer.should_stop = True
            log.info("early stop at step %d: %s", trainer.global_step, self._reason())

    def _name(self, pl_module: pl.LightningModule) -> str:
        return self.monitor or str(pl_module.best_by[0])  # type: ignore[index]

    def _reason(self) -> str:
        return (
            f"{self.name} has not improved by more than {self.min_delta:g} on "
            f"{self.best_value:.6g} (step {self.best_step}) "
            f"for {self.without_improvement} validations"
        )

    def report(self) -> dict[str, Any]:
        """Why and where training was stopped, for summary.json; empty if it ran to its end."""
        if self.without_improvement < self.patience:
            return {}
        return {"stopped_at_step": self.stopped_step, "because": self._reason()}

    def state_dict(self) -> dict[str, Any]:
        """The best value so far and how long ago it was."""
        return {
            "best": self.best,
            "best_value": self.best_value,
            "best_step": self.best_step,
            "without_improvement": self.without_improvement,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what the run before knew."""
        vars(self).update(state_dict)
