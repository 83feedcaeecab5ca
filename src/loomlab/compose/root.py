"""The values that belong to no single option: what every part of an experiment shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

BUDGETS = ("steps", "tokens", "flops", "seconds")
DEFAULT_STEPS = 1000


@dataclass
class Budget:
    """Where training stops and what schedules are laid over: exactly one is set.

    With none set, `DEFAULT_STEPS` steps.
    """

    steps: Optional[int] = None  # noqa: UP045  OmegaConf reads these annotations at run time
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
    budget: Budget = field(default_factory=Budget)
    init: Optional[str] = None  # noqa: UP045
    resume: Optional[str] = None  # noqa: UP045
    metric: str = "val/bits_per_byte"
