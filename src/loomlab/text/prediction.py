"""Labels of texts from a classifier."""

# Shapes: B texts at a time, C labels.

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from loomlab.measure.modes import evaluating, uncached
from loomlab.text.encode import encode_documents
from loomlab.text.rows import Frame

BATCH = 32
SEVERAL = "multi_label_classification"


@dataclass(frozen=True)
class Predicted:
    """A text, the labels it was given, and the probability of every label, highest first."""

    text: str
    labels: tuple[str, ...]
    probabilities: dict[str, float]


def predict_labels(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], row_length: int
) -> Iterator[Predicted]:
    """The labels of texts, in order, read as rows of at most `row_length` tokens.

    One label is the likeliest; where a text may have several, all of probability 0.5 or more.
    """
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH:
            yield from _predict(model, tokenizer, batch, row_length)
            batch = []
    if batch:
        yield from _predict(model, tokenizer, batch, row_length)


@torch.no_grad()
def _predict(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, texts: list[str], row_length: int
) -> Iterator[Predicted]:
    frame = Frame.of(tokenizer, row_length)
    rows = [frame.ids(ids) for ids, *_ in encode_documents(texts, tokenizer)]
    device = next(model.parameters()).device
    tokens_BT, mask_BT = (part.to(device) for part in frame.pad_rows(rows))
    with evaluating(model), uncached(model):
        logits_BC = model(input_ids=tokens_BT, attention_mask=mask_BT).logits.float()
    several = model.config.problem_type == SEVERAL  # type: ignore[union-attr]
    probability_BC = logits_BC.sigmoid() if several else logits_BC.softmax(-1)
    names: dict[int, str] = model.config.id2label  # type: ignore[assignment, union-attr]
    for text, probability_C in zip(texts, probability_BC.tolist(), strict=True):
        ranked = sorted(enumerate(probability_C), key=lambda pair: -pair[1])
        found = {names[number]: probability for number, probability in ranked}
        kept = [name for name, p in found.items() if p >= 0.5] if several else list(found)[:1]
        yield Predicted(text, tuple(kept), found)
