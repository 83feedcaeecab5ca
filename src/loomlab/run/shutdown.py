"""Ctrl-C and SIGTERM: finish the step, save, and go; a second Ctrl-C quits at once."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist

from loomlab.callbacks.checkpoint import LAST, just_stepped, save
from loomlab.run.folder import RunFolder
from loomlab.run.insistence import Insistence

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
        self.insistence: Insistence | None = None
        self.question: tuple[torch.Tensor, Any] | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take the signals over, before Lightning does.

        It would exit 0 without saving, and have the process that a signal comes to wait for an
        exchange that the others know nothing of.
        """
        connector: Any = trainer._signal_connector
        connector.register_signal_handlers = lambda: None
        epochs: Any = trainer.fit_loop.epoch_loop
        epochs._broadcast_sigterm_tensor = lambda: None  # at every batch all wait for it
        self.insistence = Insistence(SIGNALS, _announce, partial(_quit, trainer), self._ask)
        self.insistence.begin()

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        self.asked = self.asked or signum

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

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Give the signals back."""
        self._give_back()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        self._give_back()

    def _give_back(self) -> None:
        if self.insistence is not None:
            self.insistence.end()
            self.insistence = None


@contextmanager
def quits_at_once(trainer: pl.Trainer) -> Iterator[None]:
    """Where `Shutdown` has not yet begun, the first signal ends this process and its children.

    They may be waiting for each other in a place where no handler is called.
    """
    leave = partial(_quit, trainer)
    insistence = Insistence(SIGNALS, leave, leave)
    insistence.begin()
    try:
        yield
    finally:
        insistence.end()


def _announce(signum: int) -> None:
    log.info("stopping after this step (again to quit at once)")


def _quit(trainer: pl.Trainer, signum: int) -> None:
    """End this process and those it has started, wherever they wait."""
    log.info("quit upon %s", signal.Signals(signum).name)
    for process in getattr(trainer.strategy.launcher, "procs", []):
        process.kill()
    if trainer.is_global_zero:
        folder = RunFolder(trainer.default_root_dir)
        with suppress(OSError, ValueError):
            folder.write_summary({**folder.summary(), "status": "interrupted"})
    os._exit(128 + signum)
