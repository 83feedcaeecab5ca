"""Progress on the screen: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from typing import Annotated, Any

import pytorch_lightning as pl
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

log = logging.getLogger("loomlab")


class Progress(pl.Callback):
    """A Rich progress bar on a terminal; elsewhere one line every few seconds."""

    def __init__(self, seconds_between_lines: Annotated[float, "[0, inf)"] = 10.0) -> None:
        self.seconds_between_lines = seconds_between_lines
        self.bar: Bar | None = None
        self.last_line = 0.0
        self.started = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar, or start counting the seconds between lines."""
        self.started = self.last_line = time.monotonic()
        if trainer.is_global_zero and sys.stderr.isatty():
            self.bar = _bar()
            self.task = self.bar.add_task("training", total=_total(trainer), numbers="")
            self.bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Move the bar, or write a line if it is time."""
        if self.bar is not None:
            self.bar.update(self.task, completed=trainer.global_step, numbers=_numbers(trainer))
        elif (
            trainer.is_global_zero
            and time.monotonic() - self.last_line >= self.seconds_between_lines
        ):
            self.last_line = time.monotonic()
            log.info("%s", self._line(trainer))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the held-out number that runs are compared by."""
        metric = _compared_by(pl_module)
        value = trainer.callback_metrics.get(metric)
        if trainer.is_global_zero and value is not None and self.bar is None:
            step = trainer.global_step
            log.info("step %d: %.4f %s held out", step, float(value), _words(metric))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar, so that the message is readable."""
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _line(self, trainer: pl.Trainer) -> str:
        total = _total(trainer)
        of = f"/{total}" if total else ""
        spent = time.monotonic() - self.started
        return f"step {trainer.global_step}{of}, {spent:.0f} s{_numbers(trainer)}"


def _bar() -> Bar:
    from rich.console import Console

    return Bar(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(), TextColumn("{task.fields[numbers]}"),
        console=Console(stderr=True),
    )  # fmt: skip


def _total(trainer: pl.Trainer) -> int | None:
    return trainer.max_steps if trainer.max_steps > 0 else None


def _numbers(trainer: pl.Trainer) -> str:
    metric = _compared_by(trainer.lightning_module)
    shown = {"train/loss": "loss", metric: f"held-out {_words(metric)}"}
    parts = [
        f", {name} {float(trainer.callback_metrics[key]):.3f}"
        for key, name in shown.items()
        if key in trainer.callback_metrics
    ]
    return "".join(parts)


def _compared_by(module: Any) -> str:
    """The held-out number by which runs of an objective are compared."""
    return str(module.best_by[0])


def _words(metric: str) -> str:
    """A metric as a reader calls it."""
    return metric.removeprefix("val/").replace("_", " ")
