"""Labels of texts from a classifier, numbers from a model of regression."""

# Shapes: B texts at a time, C labels.

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
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
    several = model.config.problem_type == SEVERAL  # type: ignore[union-attr]
    for text, logits_C in _said(model, tokenizer, texts, row_length):
        probability_C = logits_C.sigmoid() if several else logits_C.softmax(-1)
        ranked = sorted(_named(model, probability_C), key=lambda pair: -pair[1])
        found = dict(ranked)
        kept = [name for name, p in ranked if p >= 0.5] if several else list(found)[:1]
        yield Predicted(text, tuple(kept), found)


def predict_numbers(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], row_length: int
) -> Iterator[tuple[str, dict[str, float]]]:
    """Texts, in order, with the numbers that a model of regression says, by their names."""
    for text, said_C in _said(model, tokenizer, texts, row_length):
        yield text, dict(_named(model, said_C))


def _named(model: nn.Module, values_C: Tensor) -> list[tuple[str, float]]:
    names: dict[int, str] = model.config.id2label  # type: ignore[assignment, union-attr]
    return [(names[number], value) for number, value in enumerate(values_C.tolist())]


def _said(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], row_length: int
) -> Iterator[tuple[str, Tensor]]:
    """Texts with what the model says of each, (C,), some of them read at a time."""
    waiting = iter(texts)
    while batch := list(itertools.islice(waiting, BATCH)):
        yield from zip(batch, _read(model, tokenizer, batch, row_length), strict=True)


@torch.no_grad()
def _read(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, texts: list[str], row_length: int
) -> Tensor:
    frame = Frame.of(tokenizer, row_length)
    rows = [frame.ids(ids) for ids, *_ in encode_documents(texts, tokenizer)]
    device = next(model.parameters()).device
    tokens_BT, mask_BT = (part.to(device) for part in frame.pad_rows(rows))
    with evaluating(model), uncached(model):
        answer = model(input_ids=tokens_BT, attention_mask=mask_BT)
    said_BC: Tensor = answer.logits.float().cpu()
    return said_BC
