"""Dropout is found in any model, set as asked, and acts in training alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from loomlab.compose.gate import check
from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.regularization.dropout import Dropout, dropout_places
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

RUN = ["model.layers=1", "model.width=16", "model.heads=2", "budget.steps=1"]
SIZES = {"layers": 2, "width": 16, "heads": 2, "vocab_size": 32, "context_length": 8}
HEADS = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2}
KINDS = ("hidden", "attention", "embedding")


def of(model_type: str, auto: Any = AutoModelForCausalLM, **sizes: int) -> nn.Module:
    special = dict.fromkeys(("bos_token_id", "eos_token_id"), 1)
    config = AutoConfig.for_model(model_type, vocab_size=32, **special, **sizes)
    return auto.from_config(config)


MODELS = [
    ("gpt", lambda: GPTConfig(**SIZES).build("causal_lm"), (2, 1, 1)),
    ("bert", lambda: BERTConfig(**SIZES).build("masked_lm"), (2, 1, 1)),
    ("hf_gpt2", lambda: of("gpt2", n_layer=2, n_embd=16, n_head=2), (4, 2, 1)),
    ("hf_bert", lambda: of("bert", AutoModelForMaskedLM, intermediate_size=32, **HEADS),
     (4, 2, 1)),
    ("hf_distilbert", lambda: of("distilbert", AutoModelForMaskedLM, n_layers=2, dim=16, n_heads=2,
     hidden_dim=32), (2, 2, 1)),
    ("hf_gpt_neox", lambda: of("gpt_neox", intermediate_size=32, **HEADS), (4, 2, 1)),
    ("hf_llama", lambda: of("llama", intermediate_size=32, num_key_value_heads=2, **HEADS),
     (0, 2, 0)),
    ("hf_opt", lambda: of("opt", ffn_dim=32, word_embed_proj_dim=16, **HEADS), (2, 2, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "build", "counts"), MODELS, ids=[m[0] for m in MODELS])
def test_every_place_is_found_and_set(
    name: str, build: Callable[[], nn.Module], counts: tuple[int, ...]
):
    model = build()
    kinds = [kind for _, _, kind in dropout_places(model)]
    assert tuple(kinds.count(kind) for kind in KINDS) == counts
    rates = dict(zip(KINDS, (0.3, 0.4, 0.5), strict=True))
    have = {kind: rate for kind, rate in rates.items() if kind in kinds}
    Dropout(**{**dict.fromkeys(KINDS), **have}).transform(model)
    assert all(getattr(o, n) == rates[kind] for o, n, kind in dropout_places(model))


@pytest.mark.parametrize(("name", "build", "counts"), MODELS, ids=[m[0] for m in MODELS])
def test_each_kind_acts_in_training_and_not_in_evaluation(
    name: str, build: Callable[[], nn.Module], counts: tuple[int, ...]
):
    ids = torch.arange(8)[None]
    for kind, count in zip(KINDS, counts, strict=True):
        if not count:
            continue
        model = Dropout(**dict.fromkeys(KINDS, 0.0)).transform(build())
        with torch.no_grad():
            still = [model.train()(input_ids=ids).logits for _ in range(2)]
            settled = model.eval()(input_ids=ids).logits
            Dropout(**{**dict.fromkeys(KINDS), kind: 0.5}).transform(model)
            moved = [model.train()(input_ids=ids).logits for _ in range(2)]
            after = model.eval()(input_ids=ids).logits
        assert torch.equal(*still)
        assert not torch.equal(*moved), kind
        assert torch.equal(settled, after)


def test_null_leaves_a_rate_as_it_is():
    model = GPTConfig(**SIZES, dropout=0.2).build("causal_lm")
    Dropout(hidden=None, attention=0.5).transform(model)
    assert model.transformer.layers[1].dropout.p == 0.2
    assert model.config.attention_dropout == 0.5


def test_rates_without_a_place_are_said_and_refused_where_nothing_is_left(caplog):
    with caplog.at_level("INFO", "loomlab"):
        llama = Dropout(attention=0.3).transform(MODELS[6][1]())
    assert "LlamaForCausalLM has no hidden or embedding dropout" in caplog.text
    assert llama.model.layers[0].self_attn.attention_dropout == 0.3
    with pytest.raises(InputError, match=r"Llama\S* has no hidden dropout; choose another"):
        Dropout(attention=None, embedding=None).transform(MODELS[6][1]())


@pytest.mark.parametrize("option", ["dropout", "dropout_light", "dropout_strong"])
def test_it_changes_a_run(
    train: Callable[..., RunFolder], train_once: Callable[..., RunFolder], option: str
):
    runs = [train(*RUN, f"regularization=[{option}]"), train_once(*RUN)]
    losses = [
        [r["train/loss"] for r in read_metrics(run.metrics) if "train/loss" in r] for run in runs
    ]
    assert losses[0][0] != losses[1][0]


@pytest.mark.slow
def test_it_goes_with_adapters_and_resumes_exactly(train: Callable[..., RunFolder]):
    given = [
        *RUN, "regularization=[dropout,layer_drop]", "compression=[lora]",
        "callbacks=[checkpoint]", "model.layers=3", "regularization.layer_drop.rate=0.4",
        "trainer.val_every_n_steps=2", "scheduler=constant",
    ]  # fmt: skip
    straight = train(*given, "budget.steps=6", folder="straight")
    folder = train(*given, "budget.steps=4")
    train(*given, "budget.steps=6", f"resume={folder.path}")
    ends = [torch.load(f.checkpoints / "last.ckpt", weights_only=True) for f in (straight, folder)]
    for key, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][key]), key


def test_presets_exclude_each_other():
    text = check(["regularization=[dropout_light,dropout_strong]"]).message()
    assert "regularization=dropout_light cannot be combined with" in text
