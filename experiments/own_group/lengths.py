"""Short contexts first (Li et al. 2022, arXiv 2108.06084): a config group of one's own."""

from typing import Annotated, Any, ClassVar

import pytorch_lightning as pl


class Lengths(pl.Callback):
    """Cuts the windows of a step into shorter ones; a step has as many tokens as before."""

    axis_kind = "outcome"  # it changes the result; the others are speed, observe and run
    requires: ClassVar = {"objective.reads": ("windows",)}

    def share(self, done: float) -> float:
        """How much of the whole length a context has, after a share `done` of the training."""
        raise NotImplementedError

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Cut each window (B, T) of the batch into T / length windows, in place."""
        whole = batch["input_ids"].shape[1]
        wanted = self.share(trainer.global_step / trainer.max_steps) * whole
        length = max(n for n in range(1, whole + 1) if whole % n == 0 and n <= max(1, wanted))
        for name, windows in batch.items():
            batch[name] = windows.reshape(-1, length)
        pl_module.log("train/context", float(length))


class Linear(Lengths):
    """Contexts grow evenly, from a share `start` of the whole, over a share `until` of the run."""

    def __init__(
        self,
        start: Annotated[float, "(0, 1]"] = 0.125,
        until: Annotated[float, "(0, 1]"] = 0.5,
    ) -> None:
        self.start, self.until = start, until

    def share(self, done: float) -> float:
        """From `start` to 1."""
        return min(1.0, self.start + (1 - self.start) * done / self.until)


class Doubling(Lengths):
    """Contexts double `times` times, each length for as many steps."""

    def __init__(self, times: Annotated[int, "[1, 8]"] = 3) -> None:
        self.times = times

    def share(self, done: float) -> float:
        """1 / 2^times at first, 1 in the end."""
        return float(2.0 ** (int(done * (self.times + 1)) - self.times))
