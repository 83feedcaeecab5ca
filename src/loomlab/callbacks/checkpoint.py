"""Checkpoints: the last state, to resume from exactly, and the best one, to keep."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.evaluation_loop import RestartStage

from loomlab.callbacks.store import BEST, LAST, CheckpointStore
from loomlab.measure.whole import local

log = logging.getLogger("loomlab")


class Checkpoint(pl.Callback):
    """Save the last state every N steps and at the end, and the best by a held-out metric."""

    runs_last = True  # so that what other callbacks did at a step is in its checkpoint

    def __init__(
        self,
        every_n_train_steps: Annotated[int, "[1, inf)"] | None = None,
        keep_best: bool = True,
        monitor: str | None = None,
        mode: Literal["min", "max"] | None = None,
    ) -> None:
        """`every_n_train_steps` of None saves before and after each validation.

        `monitor` of None means what the objective is compared by, `mode` of None the way in which
        the objective says that the metric is better.
        """
        self.every_n_train_steps = every_n_train_steps
        self.keep_best = keep_best
        self.monitor = monitor
        self.mode = mode
        self.best = math.inf
        self.best_step = 0
        self.saved_step = -1
        self.owes_validation = False  # one belongs to this step and is not done
        self._random_state: dict[str, Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Continue the random numbers of the run before, if there was one."""
        if self._random_state is not None:
            set_random_state(self._random_state)
        if self.owes_validation:
            validate_first(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Save the last state when its turn has come."""
        self.owes_validation = validation_due(trainer)
        every = self.every_n_train_steps
        if every and trainer.global_step % every == 0 and just_stepped(trainer):
            self._save_last(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the last state before a validation, which may take long."""
        if self.saved_step != trainer.global_step:
            self._save_last(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the best state when the metric has improved, and the last one."""
        self.owes_validation = False
        value = monitored(trainer, pl_module, self.monitor, self.mode)
        if value is not None and self.keep_best and value < self.best:
            self.best, self.best_step = value, trainer.global_step
            save(trainer, BEST)
        if self.every_n_train_steps is None:
            self._save_last(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the state that training ended in."""
        self._save_last(trainer)

    def _save_last(self, trainer: pl.Trainer) -> None:
        save(trainer, LAST)
        self.saved_step = trainer.global_step

    def state_dict(self) -> dict[str, Any]:
        """The best value so far and the random state, so that a resumed run forgets neither."""
        return {
            "best": self.best,
            "best_step": self.best_step,
            "owes_validation": self.owes_validation,
            "random": random_state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what the run before knew."""
        self.best, self.best_step = state_dict["best"], state_dict["best_step"]
        self.owes_validation = state_dict.get("owes_validation", False)
        self._random_state = state_dict["random"]


def validation_due(trainer: pl.Trainer) -> bool:
    """Whether a validation follows this micro-batch."""
    batches = trainer.fit_loop.total_batch_idx + 1
    every = trainer.val_check_batch or math.inf
    return trainer.should_stop or batches % every == 0


def validate_first(trainer: pl.Trainer) -> None:
    """Make a resumed fit begin with the validation that its state was saved before.

    Lightning takes a state saved after a step for one saved after the validation of that step.
    """
    validation = trainer.fit_loop.epoch_loop.val_loop
    validation._restart_stage = RestartStage.RESTARTED_MID_EVALUATION
    validation.restarting = False  # from its first batch


def monitored(
    trainer: pl.Trainer, pl_module: pl.LightningModule, metric: str | None, mode: str | None
) -> float | None:
    """A held-out metric with the sign that makes less better; None before it was measured.

    By default the metric that runs of this objective are compared by.
    """
    name = metric or str(pl_module.best_by[0])  # type: ignore[index]
    value = trainer.callback_metrics.get(name)
    if value is None:
        return None
    more: Any = pl_module.more_is_better
    way = mode or ("max" if name.rpartition("/")[2] in more else "min")
    return float(value) * (-1.0 if way == "max" else 1.0)


def just_stepped(trainer: pl.Trainer) -> bool:
    """Whether this micro-batch closed an optimizer step."""
    return (trainer.fit_loop.batch_idx + 1) % trainer.accumulate_grad_batches == 0


def random_state() -> dict[str, Any]:
    """The state of every generator, in types that load with `weights_only=True`."""
    mersenne: Any = np.random.get_state(legacy=False)
    key = mersenne["state"]["key"]
    version, numbers, gauss = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": {**mersenne, "state": {"key": key.tolist(), "pos": mersenne["state"]["pos"]}},
        "python": [version, list(numbers), gauss],
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Put every generator back to where it was."""
    torch.set_rng_state(state["torch"])
    mersenne = state["numpy"]
    key = np.array(mersenne["state"]["key"], dtype=np.uint32)
    np.random.set_state({**mersenne, "state": {**mersenne["state"], "key": key}})
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Random numbers go on afterwards as if none had been drawn."""
    before = random_state()
    try:
        yield
    finally:
        set_random_state(before)


def save(trainer: pl.Trainer, name: str) -> None:
    """Save a checkpoint that takes its name only when it is whole; called on every rank.

    A state with weights that are not finite is not saved: it would be worth nothing.
    """
    finite = all(bool(local(p).isfinite().all()) for p in trainer.lightning_module.parameters())
    if not trainer.strategy.reduce_boolean_decision(finite):
        log.warning("step %d: weights are not finite, no checkpoint", trainer.global_step)
        return
    store = CheckpointStore(Path(trainer.default_root_dir) / "checkpoints")
    for logger in trainer.loggers:
        logger.save()
    with store.writing(trainer.is_global_zero):
        trainer.save_checkpoint(store.partial(name), weights_only=False)
        if trainer.is_global_zero:
            store.commit(name, trainer.global_step)
