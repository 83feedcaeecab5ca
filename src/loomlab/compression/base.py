"""The contract of every compression technique: four moments in a run, each a no-op by default."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from pytorch_lightning import Callback
from torch import nn


class Compression:
    """A technique that acts on a model before, during or after training.

    `stage` orders techniques (lower acts first; equal stages keep the order of selection).
    `conflicts` names options that cannot be combined with this one. `changes_outputs`: what is
    saved answers otherwise than what was trained or loaded, so quality is measured before and
    after. `needs_training`: though it does, nothing of it can be done to finished weights.
    `ends_last`: the last weights are finished, not the best ones seen before it was done.
    `rows` is how many training rows `calibrate` must be given at least.
    """

    stage: ClassVar[int] = 50
    tensor_parallel: ClassVar[bool] = False  # whether it works on parts of layers
    cut_up: ClassVar[bool] = False  # whether it works on weights that are cut up over processes
    staged: ClassVar[bool] = False  # whether a stage of a pipeline is enough for it
    matrices: ClassVar[bool] = True  # whether matrices of linear layers are left to train
    conflicts: ClassVar[tuple[str, ...]] = ()
    changes_outputs: ClassVar[bool] = False
    needs_training: ClassVar[bool] = False
    ends_last: ClassVar[bool] = False
    rows: int = 0

    def transform(self, model: nn.Module) -> nn.Module:
        """Change the model before training."""
        return model

    def wrap_loss(self, objective: Any) -> Any:
        """Change the objective's loss."""
        return objective

    def callbacks(self) -> list[Callback]:
        """Callbacks to run during training."""
        return []

    def calibrate(self, batches: Iterable[dict[str, Any]]) -> None:
        """Take what is needed of model inputs from training text; called before `finalize`."""

    def finalize(self, model: nn.Module) -> nn.Module:
        """Turn the trained model into the one that is saved, free of any wrapper."""
        return model

    def report(self) -> dict[str, float]:
        """Figures of what was done, for the run's summary."""
        return {}


def in_order(techniques: list[Compression]) -> list[Compression]:
    """Techniques by stage; selection order is kept within a stage."""
    return sorted(techniques, key=lambda t: t.stage)
