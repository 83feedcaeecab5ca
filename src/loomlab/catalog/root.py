"""The values that belong to no single option: what every part of an experiment shares."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Optional

BUDGETS = ("steps", "epochs", "tokens", "flops", "seconds")
DEFAULT_STEPS = 1000


@dataclass
class Budget:
    """Where training stops and what schedules are laid over: exactly one is set.

    With none set, `DEFAULT_STEPS` steps.
    """

    steps: Optional[int] = None  # noqa: UP045  OmegaConf reads these annotations at run time
    epochs: Optional[float] = None  # noqa: UP045
    tokens: Optional[float] = None  # noqa: UP045
    flops: Optional[float] = None  # noqa: UP045
    seconds: Optional[float] = None  # noqa: UP045


@dataclass
class Experiment:
    """Shared settings at the root of the config."""

    name: Optional[str] = None  # noqa: UP045
    seed: int = 1
    sequence_length: int = 256
    global_batch_size: int = 16
    micro_batch_size: Optional[int] = None  # noqa: UP045  rows of one forward pass of a process
    budget: Budget = field(default_factory=Budget)
    init: Optional[str] = None  # noqa: UP045
    resume: Optional[str] = None  # noqa: UP045
    freeze: list[str] = field(default_factory=list)  # name patterns of weights that stay
    layer_decay: float = 1.0  # learning rate of each layer, relative to the one above
    metric: Optional[str] = None  # noqa: UP045  None: what the objective is compared by
    overwrite: bool = False  # remove the run that is in the folder first


def known_steps(budget: Any, tokens_per_step: int) -> int | None:
    """Optimizer steps that follow from the config alone; None for the other budgets."""
    if budget.steps is not None:
        return int(budget.steps)
    if budget.tokens is not None and math.isfinite(budget.tokens):
        return max(1, math.ceil(budget.tokens / max(1, tokens_per_step)))
    return DEFAULT_STEPS if all(budget[kind] is None for kind in BUDGETS) else None
