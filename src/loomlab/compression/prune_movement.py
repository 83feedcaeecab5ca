"""Prune weights that training moves towards zero."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback
from torch import Tensor, nn

from loomlab.compression.base import Compression
from loomlab.compression.masks import KeepMasks, drop_smallest, sparsity_of
from loomlab.compression.prune_gradual import cubic
from loomlab.compression.prune_magnitude import drop_globally
from loomlab.compression.targets import linear_layers
from loomlab.errors import InputError
from loomlab.measure.whole import whole

THRESHOLD = 0.1  # of the sigmoid of a score, below which its weight is left out (soft)


class PruneMovement(Compression):
    """Learn a score for every weight, and answer with the weights of the largest scores alone.

    Sanh et al. 2020, arXiv 2005.07683: a score is minus the sum over steps of gradient x weight
    (equation 4), the gradient being that of the masked weight (straight through the mask). It is
    meant for pretrained weights (`init=`): weights that fine-tuning shrinks go, however large.
    """

    stage = 30
    cut_up = True  # a layer has its whole weight while it answers; not so in tensor parallelism
    changes_outputs = True
    needs_training = True
    ends_last = True
    conflicts = (
        "lora", "dora", "pissa", "vera", "ia3", "oft", "adapters", "prefix_tuning", "qlora",
        "prune_magnitude", "prune_gradual", "prune_wanda", "prune_sparsegpt", "prune_structured",
        "low_rank", "qat",
    )  # fmt: skip
    requires = {"model.trained_by": ("gradient",), "parallelism.same_gradients": (True,)}
    because = {
        "model.trained_by": "scores are learned by gradient",
        "parallelism.same_gradients": "scores are sums of gradients, and each process has its own",
        "prune_structured": "the layers that it solves anew have no zeros",
        "low_rank": "the product of its two matrices has no zeros",
        "conflicts": "it alone says which weights stay, and trains all of them to find out",
    }

    def __init__(
        self,
        sparsity: Annotated[float, "(0, 1)"] = 0.5,
        kind: Literal["hard", "soft"] = "hard",
        scope: Literal["layer", "global"] = "layer",
        start: Annotated[float, "[0, 1]"] = 0.1,
        end: Annotated[float, "[0, 1]"] = 0.7,
        every: Annotated[int, "[1, inf)"] = 1,
        score_rate: Annotated[float, "(0, inf)"] = 0.2,
        penalty: Annotated[float, "[0, inf)"] = 2.0,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """From the share `start` of all steps to `end`, masks are renewed `every` so many steps.

        hard: the share kept falls along the cubic curve of prune_gradual, in each layer or, of
        `scope` global, among all weights. soft: what has a score above a fixed threshold is kept,
        and a pull of `penalty` on all scores (through a sigmoid) grows along that curve; the
        scores of a layer move by `score_rate` x its usual gradient. At `end` both keep the exact
        share, and from there on the masks stay. `targets` are names of layers (or globs); empty
        means all of the trunk.
        """
        if start >= end:
            raise InputError(
                f"compression.prune_movement.end={end} is not after start={start}: raise end"
            )
        self.sparsity, self.kind, self.scope = sparsity, kind, scope
        self.start, self.end, self.every = start, end, every
        self.score_rate, self.penalty = score_rate, penalty
        self.targets = list(targets)

    def transform(self, model: nn.Module) -> nn.Module:
        """Let the layers answer through masks, which leave nothing out yet."""
        layers = linear_layers(model, self.targets, "prune_movement")
        for layer in layers.values():
            Masked.turn(layer)
        self._keeper = Moving(self, list(layers))
        return model

    def callbacks(self) -> list[Callback]:
        """The one that learns the scores, and renews and holds the masks."""
        return [self._keeper]

    def finalize(self, model: nn.Module) -> nn.Module:
        """Plain layers, with zeros for what the masks leave out; at once if training was cut.

        Raises:
            InputError: there was no training.
        """
        layers = linear_layers(model, self.targets, "prune_movement")
        if not self._keeper.done:
            if not self._keeper.scores:
                raise InputError(
                    "compression.prune_movement acts through training: use `loom train "
                    "init=RUN_DIR` with it"
                )
            self._keeper.masks = self.masks(self._keeper.scores, self.sparsity)
        for layer in layers.values():
            Masked.back(layer)
        self._keeper.apply(model)
        self._figures = sparsity_of(layers)
        return model

    def masks(self, scores: dict[str, Tensor], sparsity: float) -> dict[str, Tensor]:
        """Without the share of the smallest scores."""
        if self.scope == "global":
            return drop_globally(scores, sparsity)
        return {name: drop_smallest(score, sparsity) for name, score in scores.items()}

    def report(self) -> dict[str, float]:
        """Layers, their weights, and the share of these that is zero."""
        return dict(self._figures)


class Masked(nn.Linear):
    """A linear layer that answers with some of its weights; all have a gradient, and are kept.

    It has the names of any linear layer, so optimizers, checkpoints and `freeze` see no other.
    """

    mask: Tensor

    @classmethod
    def turn(cls, layer: nn.Linear) -> None:
        """Make an existing layer one of these."""
        layer.__class__ = cls
        mask = torch.ones_like(layer.weight, dtype=torch.bool)
        layer.register_buffer("mask", mask, persistent=False)

    @classmethod
    def back(cls, layer: nn.Linear) -> None:
        """Make it what it was."""
        layer.__class__ = nn.Linear
        del layer.mask

    def forward(self, input: Tensor) -> Tensor:
        """The answer without what the mask leaves out."""
        with torch.no_grad():
            off = self.weight * self.mask - self.weight
        return F.linear(input, self.weight + off, self.bias)


class Moving(KeepMasks):
    """Scores of weights, and masks made of them; both are in every checkpoint.

    Until the masks are final, a weight that is left out rests, but is there to come back. Scores
    are whole in every process, four bytes a weight.
    """

    def __init__(self, option: PruneMovement, names: list[str]) -> None:
        super().__init__({})
        self.option, self.names = option, names
        self.scores: dict[str, Tensor] = {}
        self.done = False  # whether the masks are final

    def progress(self, trainer: pl.Trainer, steps: int) -> float:
        """How far the cubic curve is, from 0 to 1."""
        return cubic(trainer.global_step, self.option.start * steps, self.option.end * steps)

    @torch.no_grad()
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        """Move the scores; then no gradient for what is left out."""
        if not self.done:
            pull = self.option.penalty * self.progress(trainer, _steps(pl_module))
            for name in self.names:
                weight = pl_module.model.get_submodule(name).get_parameter("weight")  # type: ignore
                if weight.grad is not None:
                    self._move(name, whole(weight.grad) * whole(weight.detach()), pull)
        super().on_before_optimizer_step(trainer, pl_module, optimizer)

    def _move(self, name: str, gradient: Tensor, pull: float) -> None:
        score = self.scores.setdefault(name, torch.zeros_like(gradient, dtype=torch.float32))
        if self.option.kind == "hard":
            score.sub_(gradient)
            return
        usual, level = gradient.square().mean().sqrt().clamp(min=1e-30), score.sigmoid()
        score.sub_(gradient / usual + pull * level * (1 - level), alpha=self.option.score_rate)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Layers see the masks, also after a resume."""
        self._show(pl_module.model)  # type: ignore[arg-type]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Renew when a step was made whose turn it is; hold what is final."""
        model: Any = pl_module.model
        micro = (trainer.fit_loop.batch_idx + 1) % trainer.accumulate_grad_batches
        level = self.progress(trainer, _steps(pl_module))
        turn = level == 1.0 or trainer.global_step % self.option.every == 0
        if micro == 0 and turn and level and self.scores and not self.done:
            self._renew(level)
            self._show(model)
        if self.done:
            self.apply(model)

    def _renew(self, level: float) -> None:
        self.done = level == 1.0
        if self.done or self.option.kind == "hard":
            self.masks = self.option.masks(self.scores, level * self.option.sparsity)
            self.scores = {} if self.done else self.scores
        else:
            self.masks = {name: s.sigmoid() >= THRESHOLD for name, s in self.scores.items()}

    def _show(self, model: nn.Module) -> None:
        for name, mask in self.masks.items():
            model.get_submodule(name).get_buffer("mask").copy_(mask)

    def state_dict(self) -> dict[str, Any]:
        """The masks, the scores, and whether the masks are final."""
        return {**super().state_dict(), "scores": dict(self.scores), "done": self.done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the run before stood."""
        super().load_state_dict(state_dict)
        self.scores, self.done = dict(state_dict["scores"]), state_dict["done"]


def _steps(objective: Any) -> int:
    return int(objective.context.total_steps)
