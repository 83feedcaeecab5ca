"""How large gradients, weights and updates are, layer by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from loomlab.callbacks.base import Watcher, trained_model
from loomlab.callbacks.logged_steps import loggers_that, send, will_be_logged
from loomlab.measure.blocks import parameter_places
from loomlab.measure.whole import whole

BINS = 64  # of a histogram


class GradientNorms(Watcher):
    """Log gradient norm, weight norm and update/weight ratio of all and of each layer.

    At logged steps only: columns such as grad_norm/all, grad_norm/layers.0, weight_norm/all and
    update_ratio/all. Gradients are taken before they are clipped; the ratio is the norm of what
    the step changed, decay included, over the norm of the weights before it (a ratio near 1e-3 is
    usual, see Karpathy 2019, "A recipe for training neural networks").
    """

    staged = False  # a stage of a pipeline is not enough
    tensor_parallel = False

    def __init__(
        self,
        layers: bool = True,
        histograms_every_n_steps: Annotated[int, "[1, inf)"] | None = None,
    ) -> None:
        """`layers=false` logs the numbers of the whole model alone.

        `histograms_every_n_steps` sends histograms of the gradients, gradients/all and those of
        each layer, to loggers that take them.
        """
        self.layers = layers
        self.histograms_every_n_steps = histograms_every_n_steps
        self.before: list[Tensor] = []
        self.histograms: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        """Measure gradients and weights, and keep the weights for the difference."""
        model, every = trained_model(pl_module), self.histograms_every_n_steps
        if every and (trainer.global_step + 1) % every == 0:
            self.histograms = self._histograms(model)
        if not will_be_logged(trainer):
            return
        trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        places = parameter_places(model)
        self.places = [places[name] for name in trained]
        weights = [whole(p.detach()) for p in trained.values()]
        gradients = [None if p.grad is None else whole(p.grad) for p in trained.values()]
        zero = torch.zeros((), device=weights[0].device)
        self.gradient_norms = [zero if g is None else g.norm() for g in gradients]
        self.weight_norms = norms(weights)
        self.before = [w.clone() for w in weights]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Measure what the step has changed, and send all numbers."""
        for logger in loggers_that(trainer, "log_histograms") if self.histograms else ():
            logger.log_histograms(self.histograms, step=trainer.global_step)
        self.histograms = {}
        if not self.before:
            return
        trained = [p for p in trained_model(pl_module).parameters() if p.requires_grad]
        after = [whole(p.detach()) for p in trained]
        moved = norms([b.sub_(a) for a, b in zip(after, self.before, strict=True)])
        self.before = []
        gradient, weight = self._grouped(self.gradient_norms), self._grouped(self.weight_norms)
        update = self._grouped(moved)
        numbers: dict[str, float] = {}
        for place in gradient:
            numbers[f"grad_norm/{place}"] = gradient[place]
            numbers[f"weight_norm/{place}"] = weight[place]
            numbers[f"update_ratio/{place}"] = update[place] / max(weight[place], 1e-12)
        send(trainer, numbers)

    def _histograms(self, model: nn.Module) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Counts and edges of the gradients of all parameters, and of those of each place."""
        places, values = parameter_places(model), defaultdict(list)
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                gradient = whole(parameter.grad.detach()).flatten().float().cpu()
                for place in ("all", places[name]) if self.layers else ("all",):
                    values[f"gradients/{place}"].append(gradient)
        joined = {place: torch.cat(parts).numpy() for place, parts in values.items()}
        return {
            place: np.histogram(g, BINS) for place, g in joined.items() if np.isfinite(g).all()
        }

    def _grouped(self, of_each: Iterable[Tensor]) -> dict[str, float]:
        """The norm of all parameters together, and of those of each place."""
        squares: dict[str, float] = defaultdict(float)
        for place, norm in zip(self.places, torch.stack(list(of_each)).tolist(), strict=True):
            squares["all"] += norm**2
            if self.layers:
                squares[place] += norm**2
        return {place: square**0.5 for place, square in squares.items()}


def norms(tensors: list[Tensor]) -> list[Tensor]:
    """The 2-norm of each tensor."""
    return list(torch._foreach_norm(tensors))
