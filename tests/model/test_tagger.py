"""Classifiers of tokens on every backbone: padding, dropout, the loss, saving and Auto classes."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.model.test_classifier import LABELS, MODELS, ids
from transformers import AutoModelForTokenClassification

from loomlab.errors import InputError
from loomlab.model.ngram import NGram
from loomlab.model.saved import load_pretrained

HEAD = "token_classification"
OWN = ("gpt", "bert")


def build(name: str) -> Any:
    torch.manual_seed(0)
    return MODELS[name]().build(HEAD).eval()


@pytest.mark.parametrize("name", MODELS)
def test_every_token_has_logits_that_padding_does_not_change(name: str, tmp_path: Path):
    model, tokens = build(name), ids()
    plain = model(input_ids=tokens).logits
    padded = F.pad(tokens, (0, 5), value=1)
    found = model(input_ids=padded, attention_mask=(padded != 1).long()).logits
    assert plain.shape == (2, 9, 3)
    torch.testing.assert_close(found[:, :9], plain)
    model.save_pretrained(tmp_path)
    for again in (
        AutoModelForTokenClassification.from_pretrained(tmp_path).eval(),
        load_pretrained(tmp_path, HEAD).eval(),
    ):
        assert torch.equal(again(input_ids=tokens).logits, plain)
        assert again.config.id2label == LABELS["id2label"]


@pytest.mark.parametrize("name", OWN)
def test_the_head_is_a_linear_layer_after_dropout(name: str):
    model = build(name)
    hidden = model.transformer(ids()).last_hidden_state
    expected = hidden @ model.score.weight.T
    if model.score.bias is not None:
        expected = expected + model.score.bias
    torch.testing.assert_close(model(ids()).logits, expected)
    assert isinstance(model.dropout, torch.nn.Dropout)


@pytest.mark.parametrize("name", OWN)
def test_the_loss_is_of_what_is_labelled(name: str):
    model, labels = build(name), torch.full((2, 9), -100)
    labels[0, 2], labels[1, 0], labels[1, 5] = 1, 0, 2
    output = model(ids(), labels=labels)
    log_p = output.logits.log_softmax(-1)
    total = -(log_p[0, 2, 1] + log_p[1, 0, 0] + log_p[1, 5, 2])
    torch.testing.assert_close(output.loss, total / 3)
    torch.testing.assert_close(model(ids(), labels=labels, num_items_in_batch=6).loss, total / 6)


def test_a_decoder_sees_what_was_and_an_encoder_all():
    tokens = ids(1, 6)
    other = tokens.clone()
    other[0, -1] = 2 if tokens[0, -1] != 2 else 3
    for name, changes in (("gpt", False), ("bert", True)):
        model = build(name)
        before, after = (model(t).logits[:, 0] for t in (tokens, other))
        assert torch.allclose(before, after) != changes


def test_counting_has_no_such_head():
    with pytest.raises(InputError, match="token_classification"):
        NGram(vocab_size=50, context_length=24).build(HEAD)
