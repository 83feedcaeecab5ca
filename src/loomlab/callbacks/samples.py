"""Text of the model while it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytorch_lightning as pl
import torch

from loomlab.callbacks.whole_model import whole_model
from loomlab.errors import InputError


class Samples(pl.Callback):
    """After each validation, append a sample of the model's text to samples.txt."""

    def __init__(
        self,
        prompt: str = "It was a",
        length: Annotated[int, "[1, inf)"] = 40,
        fill: str = "He went to the [MASK] and sat down.",
    ) -> None:
        """`prompt` is continued by `length` tokens; a masked model fills `fill` instead."""
        self.prompt = prompt
        self.length = length
        self.fill = fill

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write one sample; the random state of training is left untouched."""
        with whole_model(trainer, pl_module) as looks:
            if looks:
                self._write(trainer, pl_module)

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        text = self.fill if getattr(pl_module, "head", "") == "masked_lm" else self.prompt
        with torch.random.fork_rng():
            torch.manual_seed(0)
            try:
                sample = pl_module.sample(text, self.length)  # type: ignore[operator]
            except InputError as error:  # a prompt too long for the model must not end a run
                sample = f"({error})"
        path = Path(trainer.default_root_dir) / "samples.txt"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"--- step {trainer.global_step}\n{sample}\n")
