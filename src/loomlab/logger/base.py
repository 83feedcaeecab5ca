"""What every logger option offers, and what it may be told of a run beside its config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger


def _unknown(step: int) -> dict[str, float]:
    return {}


@dataclass(frozen=True)
class Facts:
    """What a run knows when its logger is made.

    sweep: name of the sweep it is a job of. metrics: names of its held-out numbers, and those of
    which more is better. corpus: what its text is identified by, with counts. costs: tokens, flops
    and seconds of a step.
    """

    sweep: str | None = None
    metrics: tuple[str, ...] = ()
    more_is_better: tuple[str, ...] = ()
    corpus: Mapping[str, Any] = field(default_factory=dict)
    costs: Callable[[int], Mapping[str, float]] = _unknown


NO_FACTS = Facts()


class LoggerOption:
    """Builds a Lightning logger for one run."""

    def build(
        self, *, run_dir: Path, name: str, config: dict[str, Any], facts: Facts = NO_FACTS
    ) -> Logger:
        """A Lightning logger writing below `run_dir`."""
        raise TypeError(f"{type(self).__name__} builds no logger")
