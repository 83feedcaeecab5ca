"""What objectives that say something of whole texts share: the head, rows that are shown."""

# Shapes: B rows, T tokens, C labels or numbers.

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from loomlab.measure.scores import Scores
from loomlab.objective.base import Batch, Objective
from loomlab.text.rows import framing_tokenizer

SHOWN_ROWS, SHOWN_CHARACTERS = 4, 100


class OfTexts(Objective):
    """An objective whose rows are texts with labels; subclasses say what of, and their `line`."""

    staged = False  # a stage of a pipeline is not enough
    head = "sequence_classification"
    refuses = {"corpus.document_mask": (True,)}

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)
        self._shown: list[str] = []

    @torch.no_grad()
    def score(self, batch: Batch, scores: Scores) -> None:
        """Add one batch to held-out numbers; the first rows of a pass are kept to be shown."""
        said_BC, targets = self.predict(batch)
        scores.add(said_BC, targets)
        if not self._shown:
            rows = zip(batch["input_ids"], said_BC, targets, strict=True)
            self._shown = [self.line(*row) for row in itertools.islice(rows, SHOWN_ROWS)]

    def on_validation_epoch_start(self) -> None:
        """Start the held-out numbers and the rows to be shown afresh."""
        super().on_validation_epoch_start()
        self._shown = []

    def line(self, ids_T: Tensor, said_C: Tensor, target: Tensor) -> str:
        """A held-out row in words: what it is, what was said of it, and its text."""
        raise TypeError(f"{type(self).__name__} does not say what a row is")

    def text_of(self, ids_T: Tensor) -> str:
        """The beginning of a row's text, in one line."""
        text = self.tokenizer.decode(ids_T, skip_special_tokens=True)
        return " ".join(str(text).split())[:SHOWN_CHARACTERS]

    def sample(self, prompt: str, length: int) -> str:
        """Some held-out rows: what is true -> what was said, and the text."""
        return "\n".join(self._shown)

    def exported_tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer that puts the tokens around a text which the model was trained with."""
        assert self.label_set is not None
        return framing_tokenizer(self.tokenizer, self.label_set.row_length)
