"""What all objectives share: one way to be optimized, logged and scored."""

# Shapes: B rows, T positions, M scored positions, V vocabulary.

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from loomlab.measure.by_part import ScoresByPart
from loomlab.measure.scores import Scores
from loomlab.objective.chunked import chunked_loss
from loomlab.objective.cross_entropy import cross_entropy
from loomlab.objective.inputs import accepted_inputs
from loomlab.objective.step_mean import StepMean
from loomlab.optimizer.layers import decay_by_layer
from loomlab.scheduler.context import ScheduleContext
from loomlab.text.label_set import LabelSet
from loomlab.text.samples import Samples

Batch = dict[str, Tensor]


class Objective(pl.LightningModule):
    """A LightningModule that turns token windows into a loss; subclasses say which.

    `head` is the model head it needs, `reads` how it reads its corpus, `metrics` what it reports,
    `more_is_better` which way they go, `best_by` the one its runs are compared by and which way,
    `kind` likelihood, pseudo_likelihood or labels; `collate` makes a batch, and `select` or
    `predict` scores it.
    head_chunk: rows of logits computed at a time where the model can part with its head; 0 for
    all at once. It changes memory and speed, not the loss.
    """

    head: ClassVar[str]
    reads = "windows"
    metrics = ("loss", "perplexity", "bits_per_byte", "accuracy")
    best_by = ("val/bits_per_byte", "min")
    more_is_better: ClassVar[tuple[str, ...]] = ("accuracy",)  # of `metrics`; less of the others
    kind = "likelihood"  # what its numbers are of; runs of unlike kinds are not ranked together
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
        model: nn.Module,
        tokenizer: PreTrainedTokenizerFast,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any],
        context: ScheduleContext,
        bytes_per_token: float,
        seed: int,
        label_set: LabelSet | None = None,
    ) -> None:
        super().__init__()
        self.label_set = label_set
        self.model = model
        self.head_chunk = head_chunk
        self.criterion: Callable[[Tensor, Tensor], Tensor] = self.loss  # as regularized
        self.tokenizer = tokenizer
        self.context = context
        self.bytes_per_token = bytes_per_token
        self.seed = seed
        self._optimizer = optimizer
        self._scheduler = scheduler
        self._accepted = accepted_inputs(model)
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

    def new_scores(self) -> Scores:
        """Running sums for the numbers in `metrics`."""
        return Scores()

    def collate(self, samples: Samples) -> Batch:
        """A batch for `predict` from token windows."""
        raise TypeError(f"{type(self).__name__} does not say how to make a batch")

    def parts(self, batch: Batch, count: int) -> list[Batch]:
        """A batch cut by its rows into equal parts."""
        cut = {name: value.chunk(count) for name, value in batch.items()}
        return [{name: value[n] for name, value in cut.items()} for n in range(count)]

    def weight(self, batch: Batch) -> float | None:
        """What a batch scores relative to others of its size; None where all score alike."""
        return None

    def select(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Rows (M, D) of `states` that the head turns into logits, and targets (M,)."""
        raise TypeError(f"{type(self).__name__} does not say what it predicts")

    def predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (M, V) and targets (M,) of the positions that count."""
        rows, targets = self.select(batch)
        return self._to_logits(rows), targets

    def sample(self, prompt: str, length: int) -> str:
        """Text that shows what the model has learned so far."""
        raise TypeError(f"{type(self).__name__} has no sample to show")

    def exported_tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer that is saved with the model."""
        return self.tokenizer

    def loss(self, logits_MV: Tensor, targets_M: Tensor) -> Tensor:
        """Mean cross entropy in nats, computed in 32-bit floats."""
        return cross_entropy(logits_MV, targets_M)

    def model_inputs(self, batch: Batch) -> Batch:
        """The parts of a batch that the model has a parameter for."""
        return {k: v for k, v in batch.items() if k in self._accepted}

    def states(self, batch: Batch) -> Tensor:
        """What the model's head is given for a batch; the logits if it cannot part with it."""
        if self._head_apart:
            hidden: Tensor = self.model.hidden_states(**self.model_inputs(batch))  # type: ignore
            return hidden
        return self.call(batch)

    @property
    def _head_apart(self) -> bool:
        """Whether the model gives its hidden states and its head one by one."""
        return hasattr(self.model, "hidden_states")

    def _to_logits(self, rows_MD: Tensor) -> Tensor:
        if self._head_apart:
            logits: Tensor = self.model.logits_head()(rows_MD)  # type: ignore[operator]
            return logits
        return rows_MD

    def call(self, batch: Batch) -> Tensor:
        """The model's logits for a batch."""
        inputs = self.model_inputs(batch)
        if "use_cache" in self._accepted:
            return self.model(**inputs, use_cache=False).logits
        return self.model(**inputs).logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one micro-batch."""
        if self.guide is not None:
            return self.guide(self, batch)
        return self.judged(batch, self.training_scores, self.criterion)

    @torch.no_grad()
    def score(self, batch: Batch, scores: Scores) -> None:
        """Add one batch to held-out numbers."""
        self.judged(batch, scores, lambda logits, targets: logits.new_zeros(()))

    def around(self, model: nn.Module) -> Objective:
        """The same objective around another model: what that would say to the same batches."""
        other = copy.copy(self)
        other._modules = {**self._modules, "model": model}
        other._accepted = accepted_inputs(model)
        return other

    def judged(self, batch: Batch, scores: Scores | None, criterion: Any) -> Tensor:
        """The criterion's mean over a batch, scored on the way, times the weight of the batch.

        The criterion is called for the rows in their order, once or chunk after chunk.
        """
        mean, weight = self._mean(batch, scores, criterion), self.weight(batch)
        return mean if weight is None else mean * weight

    def _mean(self, batch: Batch, scores: Scores | None, criterion: Any) -> Tensor:
        """The criterion's mean over a batch; with the head in chunks."""

        shared = getattr(self.model, "vocabulary", None)  # each process has some logits

        def judge(logits: Tensor, targets: Tensor) -> Tensor:
            if shared is not None:
                mean: Tensor = shared.judged(logits, targets, scores)
                return mean
            if scores is not None:
                scores.add(logits.detach(), targets)
            loss: Tensor = criterion(logits, targets)
            return loss

        whole = type(self).predict is not Objective.predict  # it has its own way to logits
        if whole or not self._head_apart or not self.head_chunk:
            return judge(*self.predict(batch))
        rows, targets = self.select(batch)
        return chunked_loss(rows, targets, self.model.logits_head(), judge, self.head_chunk)  # type: ignore

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
        parts = {} if corpus is None else corpus.part_bytes_per_token
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
        numbers = {f"val/{k}": v for k, v in self.held_out.result(self.bytes_per_token).items()}
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
