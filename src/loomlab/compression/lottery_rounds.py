"""How a run is shared out to rounds that go back to the same step; and what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rounds:
    """The step that all rounds but the first begin at, where rounds end, and the longest one.

    `ends` are steps of the run, the last round's is left out; `length` counts from step 0.
    """

    early: int
    ends: tuple[int, ...]
    length: int

    @classmethod
    def of(cls, steps: int, rounds: int, rewind: float) -> Rounds:
        """Rounds of a run of `steps` that differ by a step at most; the first begins at step 0.

        `rewind` is a step from 1 on, and below 1 a share of a round.
        """
        early = round(rewind if rewind >= 1 else rewind * steps / rounds)
        each = (steps - early) / rounds
        ends = tuple(early + math.floor(n * each + 0.5) for n in range(1, rounds))
        return cls(early, ends, early + math.ceil(each))


def problems(settings: Mapping[str, Any], config: Any, steps: int | None) -> list[str]:
    """A run of unknown length cannot be shared out, nor one that is too short."""
    if config.budget.get("seconds") is not None:
        return [
            "rounds: rounds are shares of a number of steps, which budget.seconds does not tell; "
            "give budget.steps or budget.tokens"
        ]
    return [] if steps is None else too_short(steps, settings["rounds"], settings["rewind"])


def too_short(steps: int, rounds: int, rewind: float) -> list[str]:
    """What is wrong if there is not a step for each round."""
    early = Rounds.of(steps, rounds, rewind).early
    if (steps - early) >= rounds:
        return []
    return [
        f"rounds: {rounds} rounds that go back to step {early} need {early + rounds} steps, the "
        f"run has {steps}; lower rounds or rewind, or raise the budget"
    ]
