"""An exponential moving average of the weights, with which a run answers."""

from __future__ import annotations

from typing import Annotated, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from torch import Tensor, nn

from loomlab.callbacks.checkpoint import just_stepped
from loomlab.measure.whole import local, part, put_together
from loomlab.regularization.base import Regularization


class EMA(Regularization):
    """Average the weights over training; what is validated, sampled and saved is the average.

    Polyak & Juditsky 1992; as an exponential average Tarvainen & Valpola 2017, section 3, with
    the warm-up min(decay, (1 + t) / (10 + t)) of TensorFlow's ExponentialMovingAverage. Training
    itself is not changed by it.
    """

    requires = {"model.trained_by": ("gradient",)}
    because = {"model.trained_by": "counts have no weights that move"}
    shows = "average"  # of the weights, in validations and in what is saved

    def __init__(
        self,
        decay: Annotated[float, "(0, 1)"] = 0.999,
        warmup: bool = True,
        start: Annotated[int, "[0, inf)"] = 0,
    ) -> None:
        """`start` is the step after which averaging begins; until then the average follows."""
        self.decay, self.warmup, self.start = decay, warmup, start

    def callbacks(self) -> list[Callback]:
        """The callback that keeps the average."""
        return [AverageWeights(self.decay, self.warmup, self.start)]


class AverageWeights(pl.Callback):
    """Holds the average while the model trains, and the weights while the model shows the average.

    The two change places when a validation starts and before the next training batch, so that
    what is saved in between is the average. The state says which of them is in the model: with
    the model's own weights every checkpoint is complete, whoever saves it. Of weights that are
    cut up over processes, each averages its parts; the state has them whole.
    """

    def __init__(self, decay: float, warmup: bool, start: int) -> None:
        self.decay, self.warmup, self.start = decay, warmup, start
        self.averaged = False  # whether the average is in the model
        self.updates = 0
        self.other: dict[str, Tensor] = {}  # what is not in the model, by name; parts of it
        self.module: nn.Module | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with the weights as they are, or take up the copy of the run before."""
        own, self.module = trained_weights(pl_module), pl_module
        before = {k: part(self.other[k], p) if self.other else local(p) for k, p in own.items()}
        self.other = {k: before[k].detach().to(p.device, copy=True) for k, p in own.items()}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Train on the weights."""
        if self.averaged:
            self._change_places(pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Let the average follow, once per optimizer step."""
        if just_stepped(trainer):
            self.update(trained_weights(pl_module), trainer.global_step)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the average."""
        if not self.averaged and self.other:
            self._change_places(pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the model, also where no validation came after the last step."""
        self.on_validation_start(trainer, pl_module)

    @torch.no_grad()
    def update(self, weights: dict[str, Tensor], step: int) -> None:
        """average = decay * average + (1 - decay) * weights."""
        decay = 0.0
        if step > self.start:
            self.updates += 1
            ramp = (1 + self.updates) / (10 + self.updates) if self.warmup else 1.0
            decay = min(self.decay, ramp)
        averages = [self.other[key] for key in weights]
        torch._foreach_lerp_(averages, [local(w) for w in weights.values()], 1 - decay)

    @torch.no_grad()
    def _change_places(self, pl_module: pl.LightningModule) -> None:
        for key, weight in trained_weights(pl_module).items():
            here = local(weight)
            kept = here.detach().clone()
            here.copy_(self.other[key])
            self.other[key] = kept
        self.averaged = not self.averaged

    def state_dict(self) -> dict[str, Any]:
        """The weights that are not in the model, and which they are; all processes must ask."""
        other = self.other
        if self.module is not None:
            own = trained_weights(self.module)
            other = {key: put_together(held, own[key]) for key, held in other.items()}
        return {"averaged": self.averaged, "updates": self.updates, "other": other}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what the run before had."""
        self.averaged, self.updates = state_dict["averaged"], state_dict["updates"]
        self.other = dict(state_dict["other"])


def trained_weights(module: nn.Module) -> dict[str, Tensor]:
    """The weights that training moves, by name; tied ones once."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}
