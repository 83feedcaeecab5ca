"""What a search is after: numbers of a finished run, and which way each of them is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from loomlab.catalog.source import read_target
from loomlab.errors import InputError, did_you_mean
from loomlab.text.unknown import unread

# Numbers of summary.json that say what a run cost; less of each is better.
COSTS = ("parameters", "tokens", "flops", "seconds", "training_seconds", "peak_memory_bytes")
HELD_OUT = "val/"


@dataclass(frozen=True)
class Goal:
    """One number, and `min` or `max`."""

    name: str
    direction: str

    @property
    def held_out(self) -> bool:
        """Whether it is measured during training, too."""
        return self.name.startswith(HELD_OUT)

    @property
    def worst(self) -> float:
        """What a run gets that has no such number."""
        return math.inf if self.direction == "min" else -math.inf

    def __str__(self) -> str:
        return f"{self.name} ({self.direction})"


def goals(
    names: Sequence[str], directions: Sequence[str], configs: Sequence[DictConfig]
) -> list[Goal]:
    """The goals named, or else what the runs are compared by.

    Raises:
        InputError: the runs are compared by different numbers, or report none of that name.
    """
    names = names or [_compared_by(configs)]
    for name in names:
        known = {*COSTS, *_reported(configs)}
        if name not in known:
            hint = did_you_mean(name, known, "what runs report")
            raise InputError(f"sweep.objectives: not every run reports '{name}'; {hint}")
    more = {HELD_OUT + name for c in configs for name in _declared(c, "more_is_better")}
    default = ["max" if name in more else "min" for name in names]
    return [Goal(n, d) for n, d in zip(names, directions or default, strict=True)]


def _declared(config: DictConfig, name: str) -> Any:
    return read_target(config.objective._target_).attributes[name]


def _compared_by(configs: Sequence[DictConfig]) -> str:
    found = {str(c.metric or _declared(c, "best_by")[0]) for c in configs}
    if len(found) > 1:
        names = sorted(found)
        raise InputError(
            f"sweep.objectives: the runs are compared by {' and '.join(names)}; say which the "
            f"search is after: sweep.objectives=[{names[0]}]"
        )
    return found.pop()


def _reported(configs: Sequence[DictConfig]) -> set[str]:
    """Held-out numbers that all of the runs report."""
    each = [{HELD_OUT + name for name in _declared(c, "metrics")} for c in configs]
    return set.intersection(*each) if each else set()


def reached(wanted: Sequence[Goal], summary: dict[str, Any]) -> list[float] | None:
    """The numbers a run ended with; None if one of them is missing, not finite or of no worth."""
    if unread(summary) and any(goal.held_out for goal in wanted):
        return None
    held_out = summary.get("best") or {}
    values = [held_out.get(g.name) if g.held_out else summary.get(g.name) for g in wanted]
    numbers = [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]
    return numbers if len(numbers) == len(wanted) else None
