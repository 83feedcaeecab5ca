"""The pure part of an objective: what it reads, how it makes a batch, and how it scores one."""

# Shapes: B rows, T positions, M scored positions, V vocabulary.

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from loomlab.measure.scores import Scores
from loomlab.objective.chunked import chunked_loss
from loomlab.objective.cross_entropy import cross_entropy
from loomlab.objective.inputs import accepted_inputs
from loomlab.text.label_set import LabelSet
from loomlab.text.samples import Samples

Batch = dict[str, Tensor]


class Scoring(pl.LightningModule):
    """A model with its tokenizer that turns token windows into numbers; without an optimizer.

    `head` is the model head it needs, `reads` how it reads its corpus, `metrics` what it reports,
    `more_is_better` which way they go, `best_by` the one its runs are compared by and which way,
    `kind` likelihood, pseudo_likelihood, labels or numbers; `distribution` False where its model
    says no distribution over classes; `collate` makes a batch, and `select` or
    `predict` scores it.
    token_bytes: UTF-8 bytes of text that each token stands for, (V,); None: one each.
    head_chunk: rows of logits computed at a time where the model can part with its head; 0 for
    all at once. It changes memory and speed, not the loss.
    """

    head: ClassVar[str]
    reads = "windows"
    metrics: tuple[str, ...] = ("loss", "perplexity", "bits_per_byte", "accuracy")
    best_by = ("val/bits_per_byte", "min")
    more_is_better: ClassVar[tuple[str, ...]] = ("accuracy",)  # of `metrics`; less of the others
    distribution = True
    kind = "likelihood"  # what its numbers are of; runs of unlike kinds are not ranked together

    def __init__(
        self,
        head_chunk: Annotated[int, "[0, inf)"] = 512,
        *,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerFast,
        seed: int,
        token_bytes: Tensor | None = None,
        label_set: LabelSet | None = None,
    ) -> None:
        super().__init__()
        self.label_set = label_set
        self.model = model
        self.head_chunk = head_chunk
        self.criterion: Callable[[Tensor, Tensor], Tensor] = self.loss  # as regularized
        self.tokenizer = tokenizer
        self.token_bytes = token_bytes  # no buffer: those are cast with the weights
        self.seed = seed
        self._accepted = accepted_inputs(model)

    def new_scores(self, token_bytes: Tensor | None = None) -> Scores:
        """Running sums for the numbers in `metrics`.

        token_bytes: UTF-8 bytes that each token stands for, (V,), in a part of the text.
        """
        if self.token_bytes is not None:
            self.token_bytes = self.token_bytes.to(self.device)
        return Scores(self.token_bytes if token_bytes is None else token_bytes)

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

    @torch.no_grad()
    def score(self, batch: Batch, scores: Scores) -> None:
        """Add one batch to held-out numbers."""
        self.judged(batch, scores, lambda logits, targets: logits.new_zeros(()))

    def around(self, model: nn.Module) -> Self:
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

        whole = type(self).predict is not Scoring.predict  # it has its own way to logits
        if whole or not self._head_apart or not self.head_chunk:
            return judge(*self.predict(batch))
        rows, targets = self.select(batch)
        return chunked_loss(rows, targets, self.model.logits_head(), judge, self.head_chunk)  # type: ignore
