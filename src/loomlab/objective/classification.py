"""Classification of whole texts."""

# Shapes: B rows, T tokens, C labels.

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from loomlab.errors import InputError
from loomlab.measure.class_scores import ClassScores
from loomlab.measure.scores import Scores
from loomlab.objective.base import Batch
from loomlab.objective.of_texts import OfTexts
from loomlab.text.rows import Rows


class Classification(OfTexts):
    """Say which label a text has; with multi_label, which labels.

    One label: cross entropy over the labels. Several: binary cross entropy, the mean over labels.
    class_weights=balanced makes rare labels count as much as common ones in training: a row
    weighs rows / (labels * rows of its label), or with multi_label its present labels weigh
    absent / present. Held-out numbers are never weighted.
    """

    reads = "rows"
    metrics = ("loss", "accuracy", "f1", "f1_micro", "matthews")
    best_by = ("val/accuracy", "max")
    more_is_better = ("accuracy", "f1", "f1_micro", "matthews")
    kind = "labels"
    requires = {"corpus.labelled": (True,), "model.trained_by": ("gradient",)}
    because = {
        "corpus.labelled": "its documents have no labels to learn",
        "model.trained_by": "counting n-grams does not tell labels apart",
        "corpus.document_mask": "a row is one document, so there is nothing to mask",
    }

    def __init__(
        self,
        multi_label: bool = False,
        class_weights: Literal["none", "balanced"] = "none",
        **shared: Any,
    ) -> None:
        self.multi_label = multi_label
        labels = shared["label_set"]
        if labels is None:
            raise InputError("objective=classification needs a labelled corpus")
        if labels.not_single and not multi_label:
            raise InputError(
                f"corpus: {labels.not_single}: where a text may have none or several, set "
                "objective.multi_label=true"
            )
        super().__init__(**shared)
        kind = "multi_label" if multi_label else "single_label"
        self.model.config.problem_type = f"{kind}_classification"  # type: ignore[union-attr]
        self.weight_C: Tensor | None
        weight_C = self._weights() if class_weights == "balanced" else None
        self.register_buffer("weight_C", weight_C, persistent=False)

    def _weights(self) -> Tensor:
        assert self.label_set is not None
        count_C = torch.tensor(self.label_set.counts, dtype=torch.float32).clamp(min=1)
        rows = self.label_set.rows
        return (rows - count_C) / count_C if self.multi_label else rows / len(count_C) / count_C

    def new_scores(self, token_bytes: Tensor | None = None) -> Scores:
        """Counts for accuracy, F1 and the correlation of Matthews."""
        assert self.label_set is not None
        return ClassScores(len(self.label_set.names), self.multi_label)

    def collate(self, samples: Any) -> Batch:
        """Rows as inputs (B, T) with their mask, and targets: (B,) numbers, or (B, C)."""
        assert isinstance(samples, Rows)
        hot_BC = samples.labels_BC
        return {
            "input_ids": samples.tokens_BT,
            "attention_mask": samples.mask_BT,
            "targets": hot_BC if self.multi_label else hot_BC.argmax(-1),
        }

    def predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (B, C) and targets of the rows."""
        return self.call(batch), batch["targets"]

    def loss(self, logits_BC: Tensor, targets: Tensor) -> Tensor:
        """Mean over rows, weighted where asked for, in 32-bit floats."""
        logits_BC = logits_BC.float()
        if self.multi_label:
            return F.binary_cross_entropy_with_logits(logits_BC, targets, pos_weight=self.weight_C)
        if self.weight_C is None:
            return F.cross_entropy(logits_BC, targets)
        # not the weighted mean of torch, which would divide by the weights of the batch
        loss_B = F.cross_entropy(logits_BC, targets, reduction="none")
        return (loss_B * self.weight_C[targets]).mean()

    def line(self, ids_T: Tensor, said_C: Tensor, target: Tensor) -> str:
        """A held-out row in words: what it is, what it was taken for, and its text."""
        guess = said_C >= 0 if self.multi_label else said_C.argmax()
        return f"{self._names(target)} -> {self._names(guess)}: {self.text_of(ids_T)}"

    def _names(self, labels: Tensor) -> str:
        assert self.label_set is not None
        numbers = labels.nonzero().flatten() if self.multi_label else labels.flatten()
        return "+".join(self.label_set.names[n] for n in numbers.tolist()) or "none"
