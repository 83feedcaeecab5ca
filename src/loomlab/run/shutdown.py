"""Ctrl-C and SIGTERM: finish the step, save, and go; a second Ctrl-C quits at once."""

from __future__ import annotations

import logging
import os
import signal
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist

from loomlab.callbacks.checkpoint import LAST, just_stepped, save

log = logging.getLogger("loomlab")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """Training was asked to stop by a signal, and the state is saved."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.exit_code = 128 + signum


class Shutdown(pl.Callback):
    """Turns a signal into a checkpoint at the next step and an end with the signal's exit code.

    Several processes stop at the same step, whichever of them was sent the signal: each step ends
    with the question to all, and the next one with the answer, so that none waits for it.
    """

    runs_last = True

    def __init__(self) -> None:
        self.asked: int | None = None
        self.before: dict[int, Any] = {}
        self.question: tuple[torch.Tensor, Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signals over from Lightning, which would exit 0 without saving."""
        self.before = {number: signal.getsignal(number) for number in SIGNALS}
        for number in SIGNALS:
            signal.signal(number, self._ask)
        # Lightning has all processes wait for its own question at every batch
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            os._exit(128 + signum)
        self.asked = signum
        log.info("stopping after this step (again to quit at once)")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Save and stop once the step is complete."""
        if just_stepped(trainer) and (number := self._agreed(trainer)):
            save(trainer, LAST)
            raise Stopped(number)

    def _agreed(self, trainer: pl.Trainer) -> int:
        """The signal at which all processes stop here; 0 to go on."""
        if trainer.world_size == 1:
            return self.asked or 0
        number = self._answer()
        if not number:
            flag = torch.tensor(self.asked or 0, device=trainer.strategy.root_device)
            work = dist.all_reduce(flag, op=dist.ReduceOp.MAX, async_op=True)
            self.question = (flag, work)
        return number

    def _answer(self) -> int:
        """What all processes said to the question of the step before."""
        if self.question is None:
            return 0
        flag, work = self.question
        self.question = None
        work.wait()
        return int(flag)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave no question open; the run is finished, whatever the answer."""
        self._answer()

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Stop in the middle of a validation; the state before it is saved already.

        Several processes go on to the next step: they have unlike numbers of batches here.
        """
        if self.asked is not None and trainer.world_size == 1:
            raise Stopped(self.asked)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}
