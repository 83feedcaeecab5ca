"""Where the time of a training step goes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
import torch
from torch.profiler import ProfilerActivity, profile

from loomlab.callbacks.base import Watcher

log = logging.getLogger("loomlab")
SHOWN = 10  # rows on the screen
NAME_WIDTH = 60


class Profile(Watcher):
    """Profile a few steps after a warm-up: a table of operations and a trace to look at.

    RUN_DIR/profile.txt lists the most expensive operations by the time they take themselves;
    RUN_DIR/profile_trace.json opens in chrome://tracing or ui.perfetto.dev.
    """

    def __init__(
        self,
        warmup: Annotated[int, "[0, inf)"] = 3,
        steps: Annotated[int, "[1, inf)"] = 3,
        rows: Annotated[int, "[1, inf)"] = 50,
        memory: bool = True,
    ) -> None:
        """Profile `steps` optimizer steps after `warmup` of them; `memory` adds what each takes.

        `rows` operations are listed. A profiled step is several times slower than another.
        """
        self.warmup, self.steps, self.rows, self.memory = warmup, steps, rows, memory
        self.profiler: profile | None = None
        self.first = 0
        self.done = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count steps from here, also in a resumed run."""
        self.first = trainer.global_step + self.warmup

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Start when the warm-up is over."""
        if self.done or self.profiler is not None or trainer.global_step < self.first:
            return
        activities = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(ProfilerActivity.CUDA)
        self.profiler = profile(activities=activities, profile_memory=self.memory)
        self.profiler.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Stop and write once enough steps are complete."""
        if self.profiler is not None and trainer.global_step >= self.first + self.steps:
            self._finish(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep a validation out of the figures: fewer steps are better than mixed ones."""
        if self.profiler is not None:
            self._finish(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say so if the run was too short."""
        if not self.done and trainer.is_global_zero:
            log.warning(
                "profile: the run ended within its warm-up of %d steps; nothing was profiled",
                self.warmup,
            )

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave no profiler running when training fails."""
        if self.profiler is not None:
            self.profiler.stop()
            self.profiler = None

    def _finish(self, trainer: pl.Trainer) -> None:
        assert self.profiler is not None
        self.profiler.stop()
        finished, self.profiler, self.done = self.profiler, None, True
        if not trainer.is_global_zero:
            return
        steps = trainer.global_step - self.first
        folder = Path(trainer.default_root_dir)
        finished.export_chrome_trace(str(folder / "profile_trace.json"))
        averages = finished.key_averages()
        rank = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        tables = [
            averages.table(sort_by=rank, row_limit=n, max_name_column_width=NAME_WIDTH)
            for n in (self.rows, SHOWN)
        ]
        head = f"{steps} steps from step {self.first + 1} on, by {rank}\n"
        (folder / "profile.txt").write_text(head + tables[0] + "\n", encoding="utf-8")
        log.info("profile.txt, %d of its rows: %s%s", SHOWN, head, tables[1])
