"""What callbacks that watch training have in common."""

from __future__ import annotations

import pytorch_lightning as pl
from torch import nn


class Watcher(pl.Callback):
    """A callback for training steps; a model trained by counting has none to look at."""

    requires = {"model.trained_by": ("gradient",)}
    because = {"model.trained_by": "counting n-grams has no training steps to look at"}


def trained_model(pl_module: pl.LightningModule) -> nn.Module:
    """The model that an objective trains."""
    model = pl_module.model
    assert isinstance(model, nn.Module)
    return model
