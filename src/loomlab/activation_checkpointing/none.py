"""No activation checkpointing."""

from __future__ import annotations

from torch import nn

from loomlab.activation_checkpointing.base import ActivationCheckpointing


class NoCheckpointing(ActivationCheckpointing):
    """Keep what the backward pass needs, but for norms and activations (our blocks never do)."""

    def apply(self, model: nn.Module) -> None:
        """Leave the model as it is."""
