"""A run that is judged while it goes on: its sweep may end it before its budget is spent.

The job tells its held-out number in the sweep's ledger after each validation and waits a moment
for the verdict. Who judges, and how, it does not know; without an answer it goes on.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from loomlab.callbacks.checkpoint import monitored
from loomlab.run.ledger import GO_ON, PRUNE, TRIAL, Ledger

WAIT_SECONDS = 2.0
LOOK_SECONDS = 0.05


class Pruned(Exception):
    """The sweep has seen enough of this run; holds its best numbers so far."""

    def __init__(self, step: int, best: dict[str, float]) -> None:
        super().__init__(f"ended by its sweep at step {step}")
        self.best = best


class Judged(pl.Callback):
    """Reports after each validation, and ends training when the verdict is to prune."""

    def __init__(self, folder: Path, key: str, metric: str) -> None:
        self.ledger = Ledger(folder)
        self.key = key
        self.metric = metric
        self.best: dict[str, float] = {}
        self.best_value: float | None = None  # with the sign of less is better

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report, before the state of this step is saved.

        Raises:
            Pruned: training is to end here.
        """
        value = monitored(trainer, pl_module, self.metric, None)
        numbers: dict[str, float] = dict(pl_module.latest)  # type: ignore[arg-type]
        if trainer.sanity_checking or value is None:
            return
        if self.best_value is None or value < self.best_value:
            self.best_value, self.best = value, numbers
        verdict = ""
        if trainer.is_global_zero:
            with suppress(sqlite3.Error):  # a full disk must not end the run
                verdict = self._ask(trainer, numbers[self.metric])
        if trainer.strategy.broadcast(verdict) == PRUNE:
            raise Pruned(trainer.global_step, self.best)

    def _ask(self, trainer: pl.Trainer, value: float) -> str:
        """Report a number; the verdict, which is empty where none came in time."""
        self.ledger.report(self.key, trainer.global_step, value)
        last = trainer.should_stop  # nothing is to be gained by ending now
        end = time.monotonic() + WAIT_SECONDS
        while not last and time.monotonic() < end:
            said = {step: verdict for _, step, _, verdict in self.ledger.reports(self.key)}
            if PRUNE in said.values():
                return PRUNE  # also when it came late
            if said.get(trainer.global_step):
                return GO_ON
            time.sleep(LOOK_SECONDS)
        return ""

    def state_dict(self) -> dict[str, Any]:
        """The best numbers so far, for a run that is resumed and then pruned."""
        return {"best": self.best, "best_value": self.best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what the run before knew."""
        self.best, self.best_value = state_dict["best"], state_dict["best_value"]


def judges() -> list[pl.Callback]:
    """The callback that reports, for a run that is to be judged."""
    if TRIAL not in os.environ:
        return []
    folder, key, metric = json.loads(os.environ[TRIAL])
    return [Judged(Path(folder), key, metric)]
