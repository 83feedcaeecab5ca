"""Energy that training takes, where the machine tells."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from loomlab.callbacks.logged_steps import is_logged, send
from loomlab.probe.base import Probe
from loomlab.probe.meters import Meters, open_meters

log = logging.getLogger("loomlab")


class Energy(Probe):
    """Log joules per step and per token from the counters of processors and GPUs.

    Intel and AMD processors count under /sys/class/powercap (RAPL, packages without their parts),
    NVIDIA GPUs through pynvml if it is installed. Counters are of the whole machine: other
    processes are in them. Where none can be read, a line says so and no number is written.
    """

    def __init__(self, powercap: str = "/sys/class/powercap", nvml: bool = True) -> None:
        """`powercap` is the folder of the processors' counters; `nvml=false` leaves GPUs out."""
        self.powercap = Path(powercap)
        self.nvml = nvml
        self.meters: Meters | None = None
        self.reason = ""
        self.since_logged = self.total = 0.0
        self.steps_then = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the counters; say so if there is none."""
        self.steps_then = trainer.global_step
        if not trainer.is_global_zero:
            return
        self.meters, self.reason = open_meters(self.powercap, self.nvml)
        if self.meters is None:
            log.warning("probe energy: nothing can be measured here: %s", self.reason)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Begin to count; what a validation or a checkpoint took in between is left out."""
        if self.meters is not None:
            self.meters.joules()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Count after every batch, before a counter can have gone round twice; log when due."""
        if self.meters is None:
            return
        self.since_logged += self.meters.joules()
        step = trainer.global_step
        if not is_logged(trainer, step) or step <= self.steps_then:
            return
        context: Any = pl_module.context
        per_step = self.since_logged / (step - self.steps_then)
        send(trainer, {
            "energy/joules_per_step": per_step,
            "energy/joules_per_token": per_step / context.tokens_per_step,
        })  # fmt: skip
        self.total += self.since_logged
        self.since_logged, self.steps_then = 0.0, step

    def report(self) -> dict[str, Any]:
        """What was measured over the run and by what, or why nothing was."""
        if self.meters is None:
            return {"not_measured": self.reason} if self.reason else {}
        return {"joules": self.total + self.since_logged, "meters": self.meters.names()}

    def state_dict(self) -> dict[str, Any]:
        """Joules so far."""
        return {"joules": self.total + self.since_logged}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Add to what the run before took."""
        self.total = state_dict["joules"]
