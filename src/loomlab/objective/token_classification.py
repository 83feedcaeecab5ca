"""Classification of words: named entities, parts of speech."""

# Shapes: B rows, T tokens, M words of all rows, C labels.

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from loomlab.errors import InputError
from loomlab.measure.scores import Scores
from loomlab.measure.tag_scores import TagScores
from loomlab.objective.base import Batch, Objective
from loomlab.text.rows import framing_tokenizer
from loomlab.text.tagged_rows import UNTAGGED, TaggedBatch

SHOWN_ROWS, SHOWN_WORDS = 4, 24


class TokenClassification(Objective):
    """Say which label each word has, at its first token.

    Cross entropy over the labels, the mean over words. Where labels are O, B-TYPE and I-TYPE, f1,
    precision and recall are those of entities, found as conlleval and seqeval do; with
    strict_entities=true an I-TYPE that follows nothing of its type begins none (seqeval's strict
    IOB2). Else, and so with BIOES, f1 is the mean over labels. Words that were cut off are not
    scored.
    """

    staged = False  # a stage of a pipeline is not enough
    head = "token_classification"
    reads = "rows"
    metrics = ("loss", "accuracy", "f1", "precision", "recall", "matthews")
    best_by = ("val/f1", "max")
    more_is_better = ("accuracy", "f1", "precision", "recall", "matthews")
    kind = "labels"
    requires = {"corpus.tagged": (True,), "model.trained_by": ("gradient",)}
    refuses = {"corpus.document_mask": (True,)}
    because = {
        "corpus.tagged": "its words have no labels to learn",
        "model.trained_by": "counting n-grams does not tell labels apart",
        "corpus.document_mask": "a row is one document, so there is nothing to mask",
    }

    def __init__(self, strict_entities: bool = False, **shared: Any) -> None:
        if shared["label_set"] is None:
            raise InputError("objective=token_classification needs a corpus of tagged words")
        self.strict_entities = strict_entities
        super().__init__(**shared)
        self._shown: list[str] = []

    def new_scores(self, token_bytes: Tensor | None = None) -> Scores:
        """Counts for accuracy, the correlation of Matthews, and F1 of entities or labels."""
        assert self.label_set is not None
        return TagScores(self.label_set.names, self.strict_entities)

    def collate(self, samples: Any) -> Batch:
        """Inputs (B, T) with their mask, flat places (M,) of the words and targets there (M,)."""
        assert isinstance(samples, TaggedBatch)
        tags = samples.tags_BT.flatten()
        word_index = (tags != UNTAGGED).nonzero().flatten()
        return {
            "input_ids": samples.tokens_BT,
            "attention_mask": samples.mask_BT,
            "word_index": word_index,
            "targets": tags[word_index],
        }

    def predict(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (M, C) and targets (M,) of the words."""
        return self.call(batch).flatten(0, 1)[batch["word_index"]], batch["targets"]

    def weight(self, batch: Batch) -> float:
        """Its words relative to as many training rows of mean length."""
        assert self.label_set is not None
        mean = sum(self.label_set.counts) / self.label_set.rows
        return len(batch["targets"]) / (len(batch["input_ids"]) * mean)

    def judged(self, batch: Batch, scores: Scores | None, criterion: Any) -> Tensor:
        """The criterion's mean over the words of a batch, times its weight; scored on the way."""
        logits_MC, targets_M = self.predict(batch)
        if isinstance(scores, TagScores):
            rows_M = batch["word_index"] // batch["input_ids"].shape[1]
            scores.add(logits_MC.detach(), targets_M, rows_M)
        mean: Tensor = criterion(logits_MC, targets_M)
        return mean * self.weight(batch)

    def loss(self, logits_MC: Tensor, targets_M: Tensor) -> Tensor:
        """Mean cross entropy over words in nats, computed in 32-bit floats; 0 without words."""
        total = F.cross_entropy(logits_MC.float(), targets_M, reduction="sum")
        return total / max(1, len(targets_M))

    @torch.no_grad()
    def score(self, batch: Batch, scores: Scores) -> None:
        """Add one batch to held-out numbers; the first rows of a pass are kept to be shown."""
        super().score(batch, scores)
        if not self._shown:
            self._shown = self._lines(batch)

    def on_validation_epoch_start(self) -> None:
        """Start the held-out numbers and the rows to be shown afresh."""
        super().on_validation_epoch_start()
        self._shown = []

    def _lines(self, batch: Batch) -> list[str]:
        """The first rows, each word with its label and, where another was said, that one."""
        assert self.label_set is not None
        names, length = self.label_set.names, batch["input_ids"].shape[1]
        logits_MC, targets_M = self.predict(batch)
        ends = batch["attention_mask"].sum(-1).tolist()
        said = zip(
            batch["word_index"].tolist(), targets_M.tolist(), logits_MC.argmax(-1).tolist(),
            strict=True,
        )  # fmt: skip
        lines: list[str] = []
        for row, words in itertools.groupby(said, lambda word: word[0] // length):
            if len(lines) == SHOWN_ROWS:
                break
            found = list(itertools.islice(words, SHOWN_WORDS + 1))
            stops = [*(place % length for place, *_ in found[1:]), ends[row]]
            shown = []
            for (place, truth, guess), stop in zip(found[:SHOWN_WORDS], stops, strict=False):
                ids = batch["input_ids"][row, place % length : stop]
                text = str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()
                other = "" if guess == truth else f"->{names[guess]}"
                shown.append(f"{text}/{names[truth]}{other}")
            lines.append(" ".join(shown))
        return lines

    def sample(self, prompt: str, length: int) -> str:
        """Some held-out rows: word/label, and ->label where another was said."""
        return "\n".join(self._shown)

    def exported_tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer that puts the tokens around a text which the model was trained with."""
        assert self.label_set is not None
        return framing_tokenizer(self.tokenizer, self.label_set.row_length)
