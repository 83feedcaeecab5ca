"""What all objectives share: one way to be optimized, logged and scored."""

# Shapes: B rows, T positions, M scored positions, V vocabulary.

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from loomlab.measure.scores import Scores
from loomlab.scheduler.context import ScheduleContext
from loomlab.text.samples import Samples

Batch = dict[str, Tensor]


class Objective(pl.LightningModule):
    """A LightningModule that turns token windows into a loss; subclasses say which.

    `head` is the model head it needs, `metrics` what it reports; `collate` makes a batch,
    `predict` scores it.
    """

    head: ClassVar[str]
    metrics = ("loss", "perplexity", "bits_per_byte", "accuracy")

    def __init__(
        self,
        *,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerFast,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any],
        context: ScheduleContext,
        bytes_per_token: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.context = context
        self.bytes_per_token = bytes_per_token
        self.seed = seed
        self._optimizer = optimizer
        self._scheduler = scheduler
        self._accepted = set(inspect.signature(model.forward).parameters)
        self.training_scores: Scores | None = None  # set for the steps whose numbers are logged
        self.held_out = Scores()

    def collate(self, samples: Samples) -> Batch:
        """A batch for `predict` from token windows."""
        raise TypeError(f"{type(self).__name__} does not say how to make a batch")

    def predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (M, V) and targets (M,) of the positions that count."""
        raise TypeError(f"{type(self).__name__} does not say what it predicts")

    def sample(self, prompt: str, length: int) -> str:
        """Text that shows what the model has learned so far."""
        raise TypeError(f"{type(self).__name__} has no sample to show")

    def loss(self, logits_MV: Tensor, targets_M: Tensor) -> Tensor:
        """Mean cross entropy in nats, computed in 32-bit floats."""
        return F.cross_entropy(logits_MV.float(), targets_M)

    def model_inputs(self, batch: Batch) -> Batch:
        """The parts of a batch that the model has a parameter for."""
        return {k: v for k, v in batch.items() if k in self._accepted}

    def call(self, batch: Batch) -> Tensor:
        """The model's logits for a batch."""
        inputs = self.model_inputs(batch)
        if "use_cache" in self._accepted:
            return self.model(**inputs, use_cache=False).logits
        return self.model(**inputs).logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one micro-batch."""
        logits, targets = self.predict(batch)
        if self.training_scores is not None:
            self.training_scores.add(logits.detach(), targets)
        return self.loss(logits, targets)

    def on_validation_epoch_start(self) -> None:
        """Start the held-out numbers afresh."""
        self.held_out = Scores()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add one batch to the held-out numbers."""
        self.held_out.add(*self.predict(batch))

    def on_validation_epoch_end(self) -> None:
        """Publish the held-out numbers to the loggers and to callbacks such as checkpoint."""
        self.held_out.reduce()
        numbers = {f"val/{k}": v for k, v in self.held_out.result(self.bytes_per_token).items()}
        self.log_dict(numbers, logger=False, rank_zero_only=False)
        for logger in self.loggers:
            logger.log_metrics(numbers, step=self.global_step)

    def configure_optimizers(self) -> Any:
        """The optimizer over what is trainable, and its schedule, stepped once a step."""
        optimizer = self._optimizer(model=self.model)
        schedule = self._scheduler(optimizer=optimizer, context=self.context)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
