"""A look at the whole model by one process, also where the model is cut up over several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytorch_lightning as pl


def whole_model(trainer: pl.Trainer, objective: Any) -> AbstractContextManager[bool]:
    """Within, the first process may call `objective.model`, whose weights are all there.

    To be entered by all processes; gives whether this one is to look.
    """
    gather = getattr(trainer.strategy, "gather_model", None)
    if gather is None:
        return nullcontext(trainer.is_global_zero)
    return _lent(trainer, objective, gather())


@contextmanager
def _lent(trainer: pl.Trainer, objective: Any, model: Any) -> Iterator[bool]:
    cut = objective.model
    try:
        if trainer.is_global_zero:
            objective.model = model
        yield trainer.is_global_zero
    finally:
        objective.model = cut
