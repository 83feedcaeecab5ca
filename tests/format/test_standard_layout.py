"""Our GPT and BERT in the classes of Transformers that compute the same, and only then."""

import pytest
import torch
from transformers import (
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2ForSequenceClassification,
    GPT2ForTokenClassification,
    GPT2LMHeadModel,
    GPTNeoXForCausalLM,
    GPTNeoXForSequenceClassification,
    GPTNeoXForTokenClassification,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
    MistralForCausalLM,
    MistralForSequenceClassification,
    MistralForTokenClassification,
)

from loomlab.format.standard_layout import standard_layout, why_not_standard
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig

SIZES = {"layers": 2, "width": 16, "heads": 2, "vocab_size": 40, "context_length": 32}
ROPE = {"_target_": "loomlab.position.rope.RoPE", "base": 500.0}
NONE = {"_target_": "loomlab.position.none.NoPosition"}
ALIBI = {"_target_": "loomlab.position.alibi.ALiBi"}
WINDOW = {"_target_": "loomlab.attention.sliding_window.SlidingWindow", "window": 4}
LLAMA = {"position": ROPE, "norm": "rmsnorm", "activation": "swiglu"}
KINDS = {"gpt": (GPTConfig, "causal_lm"), "bert": (BERTConfig, "masked_lm")}
SHAPES = [
    ("gpt", {}, GPT2LMHeadModel, GPT2ForSequenceClassification),
    ("gpt", {"position": ROPE}, GPTNeoXForCausalLM, GPTNeoXForSequenceClassification),
    ("gpt", LLAMA, LlamaForCausalLM, LlamaForSequenceClassification),
    (
        "gpt",
        LLAMA | {"bias": False, "attention": WINDOW},
        MistralForCausalLM,
        MistralForSequenceClassification,
    ),
    ("bert", {}, BertForMaskedLM, BertForSequenceClassification),
]
FREE = [
    {},
    {"activation": "silu", "mlp_ratio": 2.0, "bias": False},
    {"activation": "relu2", "tied": False},
]


def built(kind: str, **settings):
    """A model all of whose weights and biases count."""
    torch.manual_seed(0)
    config, head = KINDS[kind]
    made = config(**SIZES, **{"initializer_range": 0.3, **settings}).build(head).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made


@pytest.mark.parametrize("free", FREE, ids=str)
@pytest.mark.parametrize(
    ("kind", "settings", "expected"), [shape[:3] for shape in SHAPES], ids=lambda v: str(v)[:40]
)
@torch.no_grad()
def test_logits_are_those_of_the_standard_class(kind, settings, expected, free):
    ours = built(kind, **{**free, **settings})
    theirs = standard_layout(ours)
    assert type(theirs) is expected
    ids, mask = torch.randint(40, (2, 12)), torch.ones(2, 12, dtype=torch.long)
    mask[0, 7:] = 0
    given = {"input_ids": ids, "attention_mask": mask}
    found, wanted = theirs(**given).logits, ours(**given).logits
    torch.testing.assert_close(found[mask == 1], wanted[mask == 1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_positions_that_are_not_told_are_zeros(kind: str):
    ours, ids = built(kind, position=NONE), torch.randint(40, (2, 12))
    theirs = standard_layout(ours)
    torch.testing.assert_close(theirs(ids).logits, ours(ids).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "settings", "why"),
    [
        ("gpt", {"position": ALIBI}, "GPT-2 is nearest and has no position=alibi"),
        ("gpt", {"position": ROPE, "attention": WINDOW},
         "GPT-NeoX is nearest and has no attention=sliding_window"),
        ("gpt", {"norm": "rmsnorm"}, "GPT-2 is nearest and has no norm=rmsnorm"),
        ("gpt", LLAMA | {"attention": WINDOW}, "Llama is nearest and has no attention=sliding_w"),
        ("gpt", {"activation": "swiglu"}, "GPT-2 is nearest and has no activation=swiglu"),
        ("gpt", {"norm_order": "post"}, "GPT-2 is nearest and has no norm_order=post"),
        ("bert", {"position": ROPE}, "BERT is nearest and has no position=rope"),
        ("bert", {"head_transform": False, "attention": WINDOW},
         "BERT is nearest and has no attention=sliding_window and no head_transform=False"),
    ],
    ids=str,
)  # fmt: skip
def test_what_no_standard_class_computes_is_left_alone(kind: str, settings: dict, why: str):
    model = built(kind, **settings)
    assert standard_layout(model) is None
    assert why_not_standard(model).startswith(why)


def test_what_is_no_model_of_ours():
    assert standard_layout(torch.nn.Linear(1, 1)) is None
    assert why_not_standard(torch.nn.Linear(1, 1)) == "none is of the kind of Linear"


LABELS = {"num_labels": 3, "pad_token_id": 39, "tied": False}


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [(kind, settings, labels) for kind, settings, _, labels in SHAPES],
    ids=lambda v: str(v)[:40],
)
@torch.no_grad()
def test_classifiers_too(kind: str, settings: dict, expected: type):
    torch.manual_seed(0)
    config = KINDS[kind][0](**SIZES, **LABELS, **settings, initializer_range=0.3)
    ours = config.build("sequence_classification").eval()
    made = standard_layout(ours)
    assert type(made) is expected
    assert made.config.id2label == config.id2label
    ids, mask = torch.randint(39, (2, 12)), torch.ones(2, 12, dtype=torch.long)
    ids[0, 7:], mask[0, 7:] = 39, 0
    given = {"input_ids": ids, "attention_mask": mask}
    torch.testing.assert_close(made(**given).logits, ours(**given).logits, atol=1e-5, rtol=1e-5)


OF_TOKENS = (
    GPT2ForTokenClassification, GPTNeoXForTokenClassification, LlamaForTokenClassification,
    MistralForTokenClassification, BertForTokenClassification,
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [(*shape[:2], labels) for shape, labels in zip(SHAPES, OF_TOKENS, strict=True)],
    ids=lambda v: str(v)[:40],
)
@torch.no_grad()
def test_classifiers_of_tokens_too(kind: str, settings: dict, expected: type):
    torch.manual_seed(0)
    config = KINDS[kind][0](**SIZES, **{"bias": True, **LABELS, **settings, "dropout": 0.2})
    ours = config.build("token_classification").eval()
    made = standard_layout(ours)
    assert type(made) is expected
    assert made.config.id2label == config.id2label
    ids = torch.randint(39, (2, 12))
    torch.testing.assert_close(made(ids).logits, ours(ids).logits, atol=1e-5, rtol=1e-5)


def test_heads_that_no_class_has_are_told():
    """A decoder's has no bias for the mean of numbers."""
    labels = {"id2label": {0: "a"}, "label2id": {"a": 0}}
    unit = {"label_mean": [5.0], "label_deviation": [2.0]}
    numbers = GPTConfig(**SIZES, **labels, **unit).build("sequence_classification")
    assert standard_layout(numbers) is None
    assert why_not_standard(numbers) == "GPT-2 is nearest and has no head_bias=True"
