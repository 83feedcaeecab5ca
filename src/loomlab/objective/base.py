"""What all objectives share: one way to be optimized, logged and scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from loomlab.measure.by_part import ScoresByPart
from loomlab.measure.scores import Scores
from loomlab.objective.scoring import Batch, Scoring
from loomlab.objective.step_mean import StepMean
from loomlab.optimizer.layers import decay_by_layer
from loomlab.scheduler.context import ScheduleContext

__all__ = ["Batch", "Objective"]


class Objective(Scoring):
    """A LightningModule that turns token windows into a loss; subclasses say which.

    What it reads and how it scores is told by `Scoring`, which it is.
    """

    layer_decay = 1.0  # rate of each layer, relative to the one above
    schedule: Any = None
    spread: Callable[[nn.Module, Any], None] | None = None  # cuts the model up, once
    clip: Callable[..., None] | None = None  # in place of Lightning's clipping by norm
    guide: Callable[..., Tensor] | None = None  # says the loss of a step, where a teacher does
    steps_together = True  # whether the gradients of all processes are averaged

    def __init__(
        self,
        head_chunk: Annotated[int, "[0, inf)"] = 512,
        *,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any],
        context: ScheduleContext,
        **scored: Any,
    ) -> None:
        super().__init__(head_chunk, **scored)
        self.context = context
        self._optimizer = optimizer
        self._scheduler = scheduler
        self.step_mean = StepMean()
        self.training_scores: Scores | None = None  # set for the steps whose numbers are logged
        self.held_out = ScoresByPart(self.new_scores, {})
        self.latest: dict[str, float] = {}

    def configure_model(self) -> None:
        """Cut the model up, if the run is spread that way: its processes have met by now."""
        if self.spread is not None:
            self.spread(self.model, self._device_mesh)
            self.spread = None

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the norm of all gradients, wherever parts of them are."""
        if self.clip is None:
            super().configure_gradient_clipping(
                optimizer, gradient_clip_val, gradient_clip_algorithm
            )
        elif gradient_clip_val:
            self.clip(self.parameters(), gradient_clip_val)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one micro-batch."""
        if self.guide is not None:
            return self.guide(self, batch)
        return self.judged(batch, self.training_scores, self.criterion)

    def on_train_start(self) -> None:
        """Set the rates anew: a state that is resumed has those of the budget it was saved in."""
        apply = getattr(self.schedule, "apply", None)
        if apply is not None:
            apply()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Back to training, for an optimizer that answers with averaged weights."""
        self._turn_optimizers("train")
        self.step_mean.add(self.weight(batch))

    def on_after_backward(self) -> None:
        """Once the micro-batches of a step are done, weigh them by what they score."""
        if not self.trainer.fit_loop._should_accumulate():
            self.step_mean.correct(self.parameters(), self._over_processes)

    def _over_processes(self, number: float) -> float:
        """The mean over the processes that step together."""
        if not self.steps_together:
            return number
        told = torch.tensor(number, device=self.device)
        return float(self.trainer.strategy.reduce(told, reduce_op="mean"))

    def on_validation_model_eval(self) -> None:
        """Evaluation mode, also of an optimizer that knows one."""
        super().on_validation_model_eval()
        self._turn_optimizers("eval")

    def on_fit_end(self) -> None:
        """What is left after training are the weights that answer."""
        self._turn_optimizers("eval")

    def _turn_optimizers(self, mode: str) -> None:
        # Not at the end of a validation: what is saved after it are the weights it measured.
        for optimizer in self.trainer.optimizers:
            switch = getattr(optimizer, mode, None)
            if callable(switch):
                switch()

    def on_validation_epoch_start(self) -> None:
        """Start the held-out numbers afresh."""
        corpus = getattr(self._trainer, "datamodule", None)
        parts = {} if corpus is None else corpus.part_token_bytes()
        self.held_out = ScoresByPart(self.new_scores, parts)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add one batch to the held-out numbers."""
        part = ""
        if self.held_out.parts:
            part = self.trainer.datamodule.part_of_batch(batch_idx)  # type: ignore[attr-defined]
        self.score(batch, self.held_out.of(part))

    def on_validation_epoch_end(self) -> None:
        """Publish the held-out numbers to the loggers and to callbacks such as checkpoint."""
        self.held_out.reduce()
        numbers = {f"val/{k}": v for k, v in self.held_out.result().items()}
        self.latest = numbers  # what Lightning keeps is rounded to 32 bits
        self.log_dict(numbers, logger=False, rank_zero_only=False)
        for logger in self.loggers:
            logger.log_metrics(numbers, step=self.global_step)
        observe = getattr(self.schedule, "observe", None)
        if observe is not None:
            name, direction = self.best_by
            observe(numbers[name] * (-1.0 if direction == "max" else 1.0))

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None
    ) -> None:
        """Step, and drop the gradients at once: kept, they would lie beside the next batch's."""
        optimizer.step(closure=optimizer_closure)
        optimizer.zero_grad()

    def configure_optimizers(self) -> Any:
        """The optimizer over what is trainable, and its schedule, stepped once a step."""
        optimizer = self._optimizer(model=self.model)
        if self.layer_decay != 1.0:
            decay_by_layer(optimizer, self.model, self.layer_decay)
        self.schedule = self._scheduler(optimizer=optimizer, context=self.context)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.schedule, "interval": "step"},
        }
