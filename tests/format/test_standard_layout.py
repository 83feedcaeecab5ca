"""Our GPT and BERT in the classes of Transformers that compute the same, and only then."""

import pytest
import torch
from transformers import (
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
)

from loomlab.format.standard_layout import standard_layout
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig

SIZES = {"layers": 2, "width": 16, "heads": 2, "vocab_size": 40, "context_length": 32}
ROPE = {"_target_": "loomlab.position.rope.RoPE"}
WINDOW = {"_target_": "loomlab.attention.sliding_window.SlidingWindow", "window": 4}
KINDS = {
    "gpt": (GPTConfig, "causal_lm", GPT2LMHeadModel),
    "bert": (BERTConfig, "masked_lm", BertForMaskedLM),
}


def built(kind: str, **settings):
    torch.manual_seed(0)
    config, head, _ = KINDS[kind]
    return config(**SIZES, **{"initializer_range": 0.3, **settings}).build(head).eval()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [{}, {"activation": "silu", "mlp_ratio": 2.0}], ids=str)
@torch.no_grad()
def test_logits_are_those_of_the_standard_class(kind: str, settings: dict):
    ours = built(kind, **settings)
    theirs = standard_layout(ours)
    assert type(theirs) is KINDS[kind][2]
    ids, mask = torch.randint(40, (2, 12)), torch.ones(2, 12, dtype=torch.long)
    mask[0, 7:] = 0
    given = {"input_ids": ids, "attention_mask": mask}
    found, wanted = theirs(**given).logits, ours(**given).logits
    torch.testing.assert_close(found[mask == 1], wanted[mask == 1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"position": ROPE}, {"attention": WINDOW}, {"norm": "rmsnorm"}, {"bias": False},
        {"tied": False}, {"activation": "swiglu"}, {"activation": "relu2"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_what_no_standard_class_computes_is_left_alone(kind: str, settings: dict):
    assert standard_layout(built(kind, **settings)) is None


LABELS = {"num_labels": 3, "pad_token_id": 39, "tied": False}


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [("gpt", GPT2ForSequenceClassification), ("bert", BertForSequenceClassification)],
)
@torch.no_grad()
def test_classifiers_too(kind: str, theirs: type):
    torch.manual_seed(0)
    config = KINDS[kind][0](**SIZES, **LABELS, initializer_range=0.3)
    ours = config.build("sequence_classification").eval()
    made = standard_layout(ours)
    assert type(made) is theirs
    assert made.config.id2label == config.id2label
    ids, mask = torch.randint(39, (2, 12)), torch.ones(2, 12, dtype=torch.long)
    ids[0, 7:], mask[0, 7:] = 39, 0
    given = {"input_ids": ids, "attention_mask": mask}
    torch.testing.assert_close(made(**given).logits, ours(**given).logits, atol=1e-5, rtol=1e-5)


def test_an_order_of_norms_that_is_not_theirs():
    assert standard_layout(built("gpt", norm_order="post")) is None
    assert standard_layout(built("bert", head_transform=False)) is None
