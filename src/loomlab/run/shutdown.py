"""Ctrl-C and SIGTERM: finish the step, save, and go; a second Ctrl-C quits at once."""

from __future__ import annotations

import logging
import os
import signal
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from loomlab.callbacks.checkpoint import LAST, just_stepped, save

log = logging.getLogger("loomlab")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """Training was asked to stop by a signal, and the state is saved."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


class Shutdown(pl.Callback):
    """Turns a signal into a checkpoint at the next step and an end with the signal's exit code."""

    runs_last = True

    def __init__(self) -> None:
        self.asked: int | None = None
        self.before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signals over from Lightning, which would exit 0 without saving."""
        self.before = {number: signal.getsignal(number) for number in SIGNALS}
        for number in SIGNALS:
            signal.signal(number, self._ask)

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            os._exit(128 + signum)
        self.asked = signum
        log.info("stopping after this step (again to quit at once)")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Save and stop once the step is complete."""
        if self.asked is not None and just_stepped(trainer):
            save(trainer, LAST)
            raise Stopped(self.asked)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Stop in the middle of a validation; the state before it is saved already."""
        if self.asked is not None:
            raise Stopped(self.asked)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}
