"""Gradual unfreezing: the head trains first, then one more layer after the other."""

from __future__ import annotations

from typing import Annotated, Any

import pytorch_lightning as pl
from pytorch_lightning import Callback
from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer.layers import layer_depths, numbered_layers
from loomlab.regularization.base import Regularization
from loomlab.scheduler.base import as_steps


class GradualUnfreezing(Regularization):
    """Train the head alone at first, then the last layer too, and so on down to the embeddings.

    Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", section
    3.3, against forgetting what pretrained weights know (`init=`). `over` is the time until all
    layers train, in equal parts: steps if a whole number of at least 1, a fraction of the run if
    below 1. A layer that still rests loses its gradients, so the optimizer leaves it as it is;
    steps take as long as ever. An embedding that the head shares counts as an embedding.
    """

    problem_check = "loomlab.scheduler.checks.fits_the_run"
    requires = {"model.trained_by": ("gradient",), "parallelism.partial_state": (True,)}
    because = {
        "model.trained_by": "counts have no layers",
        "parallelism.partial_state": "a layer that has not been trained yet has no optimizer "
        "state, and its checkpoints hold that of all",
    }

    def __init__(self, over: Annotated[float, "(0, inf)"] = 0.5) -> None:
        self.over = over

    def transform(self, model: nn.Module) -> nn.Module:
        """Leave the model as it is.

        Raises:
            InputError: it has no numbered layers.
        """
        if not numbered_layers(model):
            raise InputError(
                f"regularization.gradual_unfreezing: {type(model).__name__} has no numbered "
                "layers to train one after the other; leave out "
                "regularization=[gradual_unfreezing]"
            )
        return model

    def callbacks(self) -> list[Callback]:
        """The callback that lets layers rest."""
        return [Unfreeze(self.over)]


class Unfreeze(pl.Callback):
    """Drops the gradients of layers whose turn has not come; one that trains goes on training."""

    def __init__(self, over: float) -> None:
        self.over = over
        self.begun = 0  # layers that train below the head

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        """Leave the optimizer the gradients of the layers that train by now."""
        objective: Any = pl_module
        depth = layer_depths(objective.model)
        top = max(depth.values())
        steps = max(1, as_steps(self.over, objective.context.total_steps))
        self.begun = max(self.begun, min(top, trainer.global_step * top // steps))
        for parameter in objective.model.parameters():
            if depth[id(parameter)] < top - self.begun:
                parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """How many layers train: a longer run takes none of them back."""
        return {"begun": self.begun}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what the run before had."""
        self.begun = state_dict["begun"]
