"""A learning-rate range test before training, which leaves nothing behind but its finding."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities import move_data_to_device
from torch import Tensor

from loomlab.callbacks.base import Watcher, trained_model
from loomlab.callbacks.checkpoint import kept_random_state
from loomlab.measure.modes import kept_modes

log = logging.getLogger("loomlab")


class Tried(NamedTuple):
    """One step of the test: the rate it was taken with, the loss before it, and that smoothed."""

    lr: float
    loss: float
    smoothed: float


class LRFinder(Watcher):
    """Before training, raise the learning rate step by step until the loss explodes.

    The suggestion is the rate at which the smoothed loss falls fastest per decade (Smith 2017,
    arXiv 1506.01186). RUN_DIR/lr_finder.csv and lr_finder.png hold the curve. Weights, random
    numbers and the place in the data are put back exactly; the optimizer was a second one.
    """

    staged = False  # a stage of a pipeline is not enough
    problem_check = "loomlab.callbacks.checks.rates_in_order"

    def __init__(
        self,
        lowest: Annotated[float, "(0, inf)"] = 1e-6,
        highest: Annotated[float, "(0, inf)"] = 1.0,
        steps: Annotated[int, "[10, inf)"] = 60,
        smoothing: Annotated[float, "[0, 1)"] = 0.8,
        stop_at: Annotated[float, "(1, inf)"] = 3.0,
        apply: bool = False,
    ) -> None:
        """Rates go from `lowest` to `highest` in equal ratios, one of `steps` batches each.

        They are those of the first parameter group; others keep their ratio to it. The test ends
        when the smoothed loss is `stop_at` times the lowest. `apply` trains with the suggestion.
        """
        self.lowest, self.highest, self.steps = lowest, highest, steps
        self.smoothing, self.stop_at, self.apply = smoothing, stop_at, apply
        self.suggestion: float | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Run the test, unless a run is resumed."""
        if trainer.ckpt_path is not None:
            return
        if trainer.is_global_zero:
            with put_back(pl_module):
                curve = list(self._test(trainer, pl_module))
            self.suggestion = steepest(curve)
            folder = Path(trainer.default_root_dir)
            write(curve, folder / "lr_finder.csv")
            draw(curve, self.suggestion, folder / "lr_finder.png")
        self.suggestion = trainer.strategy.broadcast(self.suggestion)
        if self.suggestion is None:
            log.warning("lr_finder: the loss falls at no rate tried; nothing is suggested")
            return
        log.info("lr_finder: optimizer.lr=%.3g is suggested (lr_finder.png)", self.suggestion)
        if self.apply:
            use_rate(trainer, self.suggestion)

    def _test(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> Iterator[Tried]:
        objective: Any = pl_module
        optimizer = objective._optimizer(model=objective.model)
        base = [group["lr"] for group in optimizer.param_groups]
        ratio = (self.highest / self.lowest) ** (1 / (self.steps - 1))
        batches = iter(trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]
        average, best = 0.0, float("inf")
        for step in range(self.steps):
            lr = self.lowest * ratio**step
            for group, its_own in zip(optimizer.param_groups, base, strict=True):
                group["lr"] = lr * its_own / base[0]
            loss = self._step(trainer, objective, optimizer, next(batches))
            average = self.smoothing * average + (1 - self.smoothing) * loss
            smoothed = average / (1 - self.smoothing ** (step + 1))
            if not smoothed < self.stop_at * best:  # also when it is not a number
                return
            best = min(best, smoothed)
            yield Tried(lr, loss, smoothed)

    def _step(self, trainer: pl.Trainer, objective: Any, optimizer: Any, batch: Any) -> float:
        """One training step as the trainer takes it; the loss before it."""
        batch = move_data_to_device(batch, objective.device)
        with trainer.precision_plugin.forward_context():
            loss: Tensor = objective.training_step(batch, 0)
        loss.backward()
        if trainer.gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(
                objective.model.parameters(), float(trainer.gradient_clip_val)
            )
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def report(self) -> dict[str, Any]:
        """The suggestion, and whether it was taken, for summary.json."""
        if self.suggestion is None:
            return {}
        return {"suggested_lr": self.suggestion, "applied": self.apply}

    def state_dict(self) -> dict[str, Any]:
        """The suggestion; the rates themselves are saved with optimizer and schedule."""
        return {"suggestion": self.suggestion}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the suggestion of the run before."""
        self.suggestion = state_dict["suggestion"]


@contextmanager
def put_back(pl_module: pl.LightningModule) -> Iterator[None]:
    """Weights, buffers, gradients, modes and random numbers are afterwards what they were."""
    model = trained_model(pl_module)
    tensors = [*model.parameters(), *model.buffers()]
    copies = [t.detach().clone() for t in tensors]
    with kept_modes(pl_module), kept_random_state():
        pl_module.train()
        try:
            with torch.enable_grad():
                yield
        finally:
            with torch.no_grad():
                for tensor, copy in zip(tensors, copies, strict=True):
                    tensor.copy_(copy)
                    tensor.grad = None


def steepest(curve: list[Tried]) -> float | None:
    """The rate at which the smoothed loss falls fastest with the rate's logarithm.

    Rates are equally far apart in logarithm, so differences over two neighbours are slopes. Only
    falls to where the loss has not been before count: one that has exploded falls steeply, too.
    The first tenth is left out, where the average has seen little. None where it never falls.
    """
    start = max(1, len(curve) // 10)
    lowest = list(accumulate((tried.smoothed for tried in curve), min))
    slopes = {
        curve[at].lr: curve[at + 1].smoothed - curve[at - 1].smoothed
        for at in range(start, len(curve) - 1)
        if curve[at + 1].smoothed < lowest[at]
    }
    if not slopes or min(slopes.values()) >= 0:
        return None
    return min(slopes, key=slopes.__getitem__)


def use_rate(trainer: pl.Trainer, lr: float) -> None:
    """Make `lr` the base rate of the first group, the others in proportion, under the schedule."""
    scheduler: Any = trainer.lr_scheduler_configs[0].scheduler
    factor = lr / scheduler.base_lrs[0]
    scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]
    scheduler._last_lr = [rate * factor for rate in scheduler._last_lr]
    for group in trainer.optimizers[0].param_groups:
        group["lr"] *= factor
        group["initial_lr"] *= factor


def write(curve: list[Tried], path: Path) -> None:
    """The curve as a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Tried._fields)
        writer.writerows(curve)


def draw(curve: list[Tried], suggestion: float | None, path: Path) -> None:
    """The curve as a picture, with the suggestion marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 4.2), layout="constrained")
    panel = figure.subplots()
    rates = [t.lr for t in curve]
    panel.plot(rates, [t.loss for t in curve], ".", alpha=0.4, label="loss")
    panel.plot(rates, [t.smoothed for t in curve], label="smoothed")
    if suggestion is not None:
        panel.axvline(suggestion, color="gray", ls="--", label=f"suggested: {suggestion:.2g}")
    panel.set_xscale("log")
    panel.set_xlabel("learning rate")
    panel.set_ylabel("training loss")
    panel.legend(fontsize=8)
    figure.savefig(path, dpi=110)
