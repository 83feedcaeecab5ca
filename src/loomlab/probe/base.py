"""The contract of every probe: it looks at a run and never changes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch

from loomlab.callbacks.base import Watcher
from loomlab.callbacks.checkpoint import kept_random_state
from loomlab.callbacks.whole_model import whole_model
from loomlab.measure.modes import evaluating


class Probe(Watcher):
    """Measures something besides the loss; weights with and without a probe are the same bits.

    A probe overrides `look`, which is called after each validation on the first process, in eval
    mode, without gradients and without compilation; whatever random numbers it draws are given
    back. It writes below RUN_DIR and may send pictures and tables to loggers that take them. A
    probe that must see training steps overrides Lightning's hooks itself and only reads there.
    `report()`, if there is one, goes into summary.json.
    """

    def look(self, trainer: pl.Trainer, objective: Any) -> None:
        """Measure; `objective` has the model, the tokenizer and `head`, what it was trained for.

        A model that cannot be measured so is passed over with a line in the log, not an error.
        """

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look, with everything put back afterwards."""
        if trainer.sanity_checking:
            return
        with whole_model(trainer, pl_module) as looks:
            if looks:
                with undisturbed(pl_module):
                    self.look(trainer, pl_module)


@contextmanager
def undisturbed(module: torch.nn.Module) -> Iterator[None]:
    """Modes of modules and random numbers are afterwards what they were."""
    with (
        evaluating(module), kept_random_state(),
        torch.no_grad(), torch.compiler.set_stance("force_eager"),
    ):  # fmt: skip
        torch.manual_seed(0)
        yield
