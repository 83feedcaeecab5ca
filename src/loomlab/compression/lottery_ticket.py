"""Train, prune, rewind, and train what is left again, within one run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from torch import Tensor, nn

from loomlab.compression.base import Compression
from loomlab.compression.lottery_rounds import Rounds, too_short
from loomlab.compression.masks import KeepMasks, drop_smallest, sparsity_of
from loomlab.compression.prune_magnitude import drop_globally
from loomlab.compression.targets import linear_layers
from loomlab.errors import InputError
from loomlab.measure.whole import local, part, whole
from loomlab.scheduler.context import ScheduleContext


class LotteryTicket(Compression):
    """Iterative magnitude pruning with rewinding: what is left is trained again from early on.

    Frankle & Carbin 2019, arXiv 1803.03635 (`rewind` of 0), and Frankle et al. 2020, arXiv
    1912.05671 (a later step). The steps of the run are shared out to rounds. After each but the
    last the smallest weights go, those left get the values they had at the step of `rewind`, the
    schedule is as it was there, and the optimizer starts anew; the text goes on.
    """

    stage = 30
    tensor_parallel = True
    cut_up = True
    changes_outputs = True
    needs_training = True
    ends_last = True
    problem_check = "loomlab.compression.lottery_rounds.problems"
    conflicts = (
        "lora", "dora", "pissa", "vera", "ia3", "oft", "adapters", "prefix_tuning", "qlora",
        "prune_magnitude", "prune_gradual", "prune_movement", "prune_wanda", "prune_sparsegpt",
        "prune_structured", "low_rank", "qat",
    )  # fmt: skip
    requires = {
        "model.trained_by": ("gradient",),
        "parallelism.same_gradients": (True,),
        "regularization.shows": ("weights",),
    }
    because = {
        "model.trained_by": "what is pruned are the weights of linear layers",
        "parallelism.same_gradients": "its outer steps would lead back to what was rewound",
        "regularization.shows": "an average over steps would bring back what was rewound",
        "prune_structured": "the layers that it solves anew have no zeros",
        "low_rank": "the product of its two matrices has no zeros",
        "conflicts": "it alone says which weights train and which are zero",
    }

    def __init__(
        self,
        sparsity: Annotated[float, "(0, 1)"] = 0.5,
        rounds: Annotated[int, "[1, inf)"] = 3,
        rewind: Annotated[float, "[0, inf)"] = 0.1,
        scope: Literal["global", "layer"] = "global",
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`rounds` of training with a pruning between two, the same share of what is left each.

        `rewind` is a step from 1 on, or a share of a round. `scope`: compare all layers' weights
        with each other, or those of each by themselves. `targets` are names of layers (or globs);
        empty means all of the trunk. One round alone is pruned at its end.
        """
        self.sparsity, self.rounds, self.rewind = sparsity, rounds, rewind
        self.scope, self.targets = scope, list(targets)

    def transform(self, model: nn.Module) -> nn.Module:
        """Find the layers; nothing is pruned yet."""
        self._keeper = Rewinding(self, list(linear_layers(model, self.targets, "lottery_ticket")))
        return model

    def shared(self, steps: int) -> Rounds:
        """The rounds of a run of so many steps.

        Raises:
            InputError: there is not a step for each.
        """
        wrong = too_short(steps, self.rounds, self.rewind)
        if wrong:
            raise InputError(f"compression.lottery_ticket.{wrong[0]}")
        return Rounds.of(steps, self.rounds, self.rewind)

    def after(self, rounds: int) -> float:
        """The sparsity after so many rounds."""
        if rounds >= self.rounds - 1:
            return self.sparsity
        return 1 - float((1 - self.sparsity) ** (rounds / (self.rounds - 1)))

    def callbacks(self) -> list[Callback]:
        """The one that prunes, rewinds and holds the masks."""
        return [self._keeper]

    def finalize(self, model: nn.Module) -> nn.Module:
        """The masks once more; what is missing to them at once, if training was cut.

        Raises:
            InputError: there was no training.
        """
        if self._keeper.shared is None:
            raise InputError(
                "compression.lottery_ticket acts through training: use `loom train` with it, or "
                "`loom compress` with prune_magnitude"
            )
        if self._keeper.round < max(self.rounds - 1, 1):
            self._keeper.prune(model, self.sparsity)
        self._keeper.apply(model)
        figures = sparsity_of(linear_layers(model, self.targets, "lottery_ticket"))
        self._figures = {**figures, "rewound": float(self._keeper.round)}
        return model

    def report(self) -> dict[str, float]:
        """Layers, their weights, the share of these that is zero, and how often it was rewound."""
        return dict(self._figures)


class Rewinding(KeepMasks):
    """Prunes and rewinds before the first step of a round, so that its end can be validated.

    The early weights are in every checkpoint, and whole in every process.
    """

    def __init__(self, option: LotteryTicket, names: list[str]) -> None:
        super().__init__({})
        self.option, self.names = option, names
        self.round = 0  # how often it was rewound
        self.early: dict[str, Tensor] = {}
        self.shared: Rounds | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Lay the schedule over a round: before there is one."""
        context: ScheduleContext = pl_module.context  # type: ignore[assignment]
        self.shared = self.option.shared(context.total_steps)
        fixed = ScheduleContext.fixed(self.shared.length, context.tokens_per_step)
        pl_module.context = fixed  # type: ignore[assignment]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The first batch already sees the pruned model, also after a resume."""
        super().on_train_start(trainer, pl_module)
        self._remember(trainer, pl_module)

    @torch.no_grad()
    def _remember(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Keep the weights of the step that rounds go back to."""
        assert self.shared is not None
        if trainer.global_step == self.shared.early and not self.early:
            weights = pl_module.model.named_parameters()
            self.early = {name: whole(p).detach().clone() for name, p in weights}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Prune and go back, if a round has ended."""
        assert self.shared is not None
        if sum(end <= trainer.global_step for end in self.shared.ends) <= self.round:
            return
        pl_module._turn_optimizers("eval")  # type: ignore[operator]  # to the weights that answer
        self.round += 1
        self.prune(pl_module.model, self.option.after(self.round))  # type: ignore[arg-type]
        self._go_back(pl_module.model)  # type: ignore[arg-type]
        trainer.strategy.setup_optimizers(trainer)
        schedule: Any = pl_module.schedule
        schedule.last_epoch = self.shared.early
        schedule.apply()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *hook: Any
    ) -> None:
        """Zero again what a step has moved."""
        super().on_train_batch_end(trainer, pl_module, *hook)
        self._remember(trainer, pl_module)

    @torch.no_grad()
    def prune(self, model: nn.Module, sparsity: float) -> None:
        """Masks by magnitude; what is pruned stays so. All processes must ask."""
        scores = {}
        for name in self.names:
            scores[name] = whole(model.get_submodule(name).get_parameter("weight")).abs()
            if name in self.masks:
                scores[name] = scores[name].masked_fill(~self.masks[name], -1.0)
        if self.option.scope == "global":
            self.masks = drop_globally(scores, sparsity)
        else:
            self.masks = {name: drop_smallest(score, sparsity) for name, score in scores.items()}

    @torch.no_grad()
    def _go_back(self, model: nn.Module) -> None:
        for name, weight in model.named_parameters():
            local(weight).copy_(part(self.early[name], weight))
        self.apply(model)

    def state_dict(self) -> dict[str, Any]:
        """The masks, how often it was rewound, and where to."""
        return {**super().state_dict(), "round": self.round, "early": dict(self.early)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the run before stood."""
        super().load_state_dict(state_dict)
        self.round, self.early = state_dict["round"], dict(state_dict["early"])
