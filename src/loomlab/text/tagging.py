"""Labels of the words of texts, from a classifier of tokens."""

# Shapes: B texts at a time, T tokens, C labels.

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from loomlab.measure.modes import evaluating, uncached
from loomlab.text.prediction import BATCH
from loomlab.text.rows import Frame
from loomlab.text.words import word_tokens


@dataclass(frozen=True)
class TaggedWord:
    """A word, its label, and the probability of every label, highest first.

    The label is "" where the word has no token among those that were read.
    """

    word: str
    label: str
    probabilities: dict[str, float]


def tag_words(
    model: nn.Module, tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], row_length: int
) -> Iterator[list[TaggedWord]]:
    """The words of texts, which spaces tell apart, with their labels; a list for each text.

    A text is read as a row of at most `row_length` tokens.
    """
    waiting = iter(texts)
    while batch := list(itertools.islice(waiting, BATCH)):
        yield from _tag(model, tokenizer, [text.split() for text in batch], row_length)


@torch.no_grad()
def _tag(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerFast,
    texts: list[list[str]],
    row_length: int,
) -> Iterator[list[TaggedWord]]:
    frame = Frame.of(tokenizer, row_length)
    tokens = list(word_tokens(texts, tokenizer))
    device = next(model.parameters()).device
    tokens_BT, mask_BT = frame.pad_rows([frame.ids(ids) for ids, _ in tokens])
    with evaluating(model), uncached(model):
        answer = model(input_ids=tokens_BT.to(device), attention_mask=mask_BT.to(device))
    probability_BTC = answer.logits.float().softmax(-1).cpu()
    names: dict[int, str] = model.config.id2label  # type: ignore[assignment, union-attr]
    for words, (_, starts), probability_TC in zip(texts, tokens, probability_BTC, strict=True):
        found = []
        for word, start in zip(words, starts.tolist(), strict=True):
            if not 0 <= start < frame.room:
                found.append(TaggedWord(word, "", {}))
                continue
            probability_C = probability_TC[start + len(frame.before)].tolist()
            ranked = sorted(enumerate(probability_C), key=lambda pair: -pair[1])
            likely = {names[number]: probability for number, probability in ranked}
            found.append(TaggedWord(word, next(iter(likely)), likely))
        yield found
