"""Regression: a number, or several, for each text."""

# Shapes: B rows, T tokens, C numbers of a row.

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from loomlab.errors import InputError
from loomlab.measure.number_scores import NumberScores
from loomlab.measure.scores import Scores
from loomlab.model.own_unit import REGRESSION, in_own_unit, label_unit, standardized
from loomlab.objective.base import Batch
from loomlab.objective.of_texts import OfTexts
from loomlab.text.rows import Rows


class Regression(OfTexts):
    """Say the number of a text; several where each row of the corpus has several.

    Mean squared error of numbers that are standardized by mean and deviation of the training
    rows, so that neither their unit nor their offset matters. The model says them in their own
    unit, and so are rmse and mae.
    """

    reads = "numbers"
    metrics = ("loss", "rmse", "mae", "pearson", "spearman", "r2")
    best_by = ("val/rmse", "min")
    more_is_better = ("pearson", "spearman", "r2")
    kind = "numbers"
    distribution = False
    requires = {"corpus.numbered": (True,), "model.trained_by": ("gradient",)}
    because = {
        "corpus.numbered": "its labels are no numbers to learn",
        "model.trained_by": "counting n-grams does not tell numbers",
        "corpus.document_mask": "a row is one document, so there is nothing to mask",
    }

    def __init__(self, **shared: Any) -> None:
        labels = shared["label_set"]
        if labels is None or labels.spread is None:
            raise InputError("objective=regression needs a corpus with numbers for labels")
        super().__init__(**shared)
        self.model.config.problem_type = REGRESSION  # type: ignore[union-attr]

    def new_scores(self, token_bytes: Tensor | None = None) -> Scores:
        """Errors and correlations."""
        unit = label_unit(self.model.config)
        assert unit is not None, "a model for numbers"
        return NumberScores(unit[1])

    def collate(self, samples: Any) -> Batch:
        """Rows as inputs (B, T) with their mask, and standardized targets (B, C)."""
        assert isinstance(samples, Rows)
        return {
            "input_ids": samples.tokens_BT,
            "attention_mask": samples.mask_BT,
            "targets": standardized(samples.labels_BC, self.model.config).float(),
        }

    def predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Standardized numbers (B, C) that are said, and those of the rows."""
        return standardized(self.call(batch).float(), self.model.config), batch["targets"]

    def loss(self, said_BC: Tensor, targets_BC: Tensor) -> Tensor:
        """Mean squared error, in 32-bit floats."""
        return F.mse_loss(said_BC.float(), targets_BC)

    def line(self, ids_T: Tensor, said_C: Tensor, target_C: Tensor) -> str:
        """A held-out row in words: its numbers, those that were said, and its text."""
        true, said = (shown(in_own_unit(n, self.model.config)) for n in (target_C, said_C))
        return f"{true} -> {said}: {self.text_of(ids_T)}"


def shown(numbers_C: Tensor) -> str:
    """Numbers in words."""
    return ", ".join(f"{number:.6g}" for number in torch.atleast_1d(numbers_C).tolist())
