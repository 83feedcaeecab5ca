"""TensorBoard event files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers import TensorBoardLogger

from loomlab.errors import InputError
from loomlab.logger.base import NO_FACTS, Facts, LoggerOption
from loomlab.logger.checks import tensorboard_is_installed

FOLDER = "tensorboard"


class TensorBoard(LoggerOption):
    """TensorBoard events in RUN_DIR/tensorboard: `tensorboard --logdir outputs` shows all runs."""

    problem_check = "loomlab.logger.checks.tensorboard_is_installed"

    def build(
        self, *, run_dir: Path, name: str, config: dict[str, Any], facts: Facts = NO_FACTS
    ) -> Events:
        """A logger writing to RUN_DIR/tensorboard, the config as a text.

        Raises:
            InputError: tensorboard is not installed.
        """
        for complaint in tensorboard_is_installed({}):
            raise InputError(f"logger=tensorboard: {complaint}")
        return Events(run_dir, config)


class Events(TensorBoardLogger):
    """Lightning's logger, with the config as text and with one curve after a resume.

    A run that was killed may have written steps beyond its last checkpoint; what is written after
    a resume tells readers to drop those.
    """

    def __init__(self, run_dir: Path, config: dict[str, Any]) -> None:
        super().__init__(save_dir=run_dir, name=FOLDER, version="", default_hp_metric=False)
        self.settings = config
        self.begun = False

    def _begin(self, step: int) -> None:
        """Open the file at the first number, when it is known where the run goes on."""
        if not self.begun:
            self.begun = True
            self._kwargs["purge_step"] = step
            text = "".join(f"    {line}\n" for line in yaml.safe_dump(self.settings).splitlines())
            self.experiment.add_text("config", text, global_step=step)

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Add numbers at a step."""
        self._begin(int(step or 0))
        super().log_metrics(metrics, step)

    @rank_zero_only
    def log_image(self, key: str, images: Sequence[str], step: int | None = None) -> None:
        """Add pictures, given as paths of PNG files, at a step."""
        import numpy as np
        from PIL import Image

        self._begin(int(step or 0))
        for number, path in enumerate(images):
            with Image.open(path) as picture:
                pixels_HWC = np.asarray(picture.convert("RGB"))
            tag = key if len(images) == 1 else f"{key}/{number}"
            self.experiment.add_image(tag, pixels_HWC, step, dataformats="HWC")
