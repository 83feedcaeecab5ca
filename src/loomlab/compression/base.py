"""The contract of every compression technique: four moments in a run, each a no-op by default."""

from __future__ import annotations

from typing import Any, ClassVar

from pytorch_lightning import Callback
from torch import nn


class Compression:
    """A technique that acts on a model before, during or after training.

    `stage` orders techniques (lower acts first; equal stages keep the order of selection).
    `conflicts` names options that cannot be combined with this one.
    """

    stage: ClassVar[int] = 50
    conflicts: ClassVar[tuple[str, ...]] = ()

    def transform(self, model: nn.Module) -> nn.Module:
        """Change the model before training."""
        return model

    def wrap_loss(self, objective: Any) -> Any:
        """Change the objective's loss."""
        return objective

    def callbacks(self) -> list[Callback]:
        """Callbacks to run during training."""
        return []

    def finalize(self, model: nn.Module) -> nn.Module:
        """Turn the trained model into the one that is saved, free of any wrapper."""
        return model

    def report(self) -> dict[str, float]:
        """Figures of what was done, for the run's summary."""
        return {}


def in_order(techniques: list[Compression]) -> list[Compression]:
    """Techniques by stage; selection order is kept within a stage."""
    return sorted(techniques, key=lambda t: t.stage)
