"""Which steps are logged, and how a callback sends its numbers: in one call a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytorch_lightning as pl


def is_logged(trainer: pl.Trainer, step: int) -> bool:
    """Whether an optimizer step, counted from 1, is one the trainer logs."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return step % every == 0


def will_be_logged(trainer: pl.Trainer) -> bool:
    """Whether the optimizer step being worked on is one the trainer logs."""
    return is_logged(trainer, trainer.global_step + 1)


def send(trainer: pl.Trainer, numbers: Mapping[str, float]) -> None:
    """Give the numbers of the step just completed to metrics.csv and to every logger."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(numbers), step=trainer.global_step)


def loggers_that(trainer: pl.Trainer, method: str) -> Iterator[Any]:
    """The loggers that can take something, such as `log_image` or `log_table`."""
    return (logger for logger in trainer.loggers if hasattr(logger, method))
