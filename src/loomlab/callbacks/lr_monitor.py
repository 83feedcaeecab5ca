"""The settings of the optimizer as they were used."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch.optim import Optimizer

from loomlab.callbacks.base import Watcher
from loomlab.callbacks.logged_steps import send, will_be_logged


class LRMonitor(Watcher):
    """Log every parameter group's learning rate and momentum or betas at logged steps.

    They are those the logged step was taken with, read before the schedule moves on.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, float] = {}

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Read the groups."""
        if will_be_logged(trainer):
            self.numbers = group_settings(optimizer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Send what was read, now that the step is complete."""
        if self.numbers:
            send(trainer, self.numbers)
            self.numbers = {}


def group_settings(optimizer: Optimizer) -> dict[str, float]:
    """Columns such as lr/group0, momentum/group0, or beta1/group0 and beta2/group0."""
    numbers: dict[str, float] = {}
    for index, group in enumerate(optimizer.param_groups):
        place = f"group{index}"
        numbers[f"lr/{place}"] = float(group["lr"])
        if "momentum" in group:
            numbers[f"momentum/{place}"] = float(group["momentum"])
        for number, beta in enumerate(group.get("betas", ()), start=1):
            numbers[f"beta{number}/{place}"] = float(beta)
    return numbers
