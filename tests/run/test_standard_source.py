"""Checkpoints of Transformers start our models: the same logits, or a refusal by name."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2ForTokenClassification,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForTokenClassification,
    MistralConfig,
    MistralForCausalLM,
)

from loomlab.errors import InputError
from loomlab.format.safetensors import Safetensors
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.run.initial_weights import load_initial_weights

SIZES = {"layers": 2, "width": 16, "heads": 4, "vocab_size": 40, "context_length": 12}
HF = {"vocab_size": 40, "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 4,
      "intermediate_size": 24, "initializer_range": 0.3}  # fmt: skip
GPT2 = GPT2Config(n_layer=2, n_embd=16, n_head=4, vocab_size=40, n_positions=16,
                  initializer_range=0.3)  # fmt: skip
NEOX = GPTNeoXConfig(**HF, use_parallel_residual=False, attention_bias=False, rotary_pct=1.0)
LLAMA = {**HF, "rope_theta": 500.0}
ROPE = {"_target_": "loomlab.position.rope.RoPE", "base": 10000.0}
ROPE_500 = {**ROPE, "base": 500.0}
WINDOW = {"_target_": "loomlab.attention.sliding_window.SlidingWindow", "window": 4}
AS_LLAMA = {"norm": "rmsnorm", "norm_epsilon": 1e-6, "activation": "swiglu", "mlp_ratio": 2.25,
            "tied": False, "bias": False, "position": ROPE_500}  # fmt: skip
BERT = BertConfig(**HF, max_position_embeddings=16)
AS_BERT = {"mlp_ratio": 1.5}
CASES = {
    "gpt2": (GPT2LMHeadModel, GPT2, {}),
    "gpt2 of relu": (
        GPT2LMHeadModel,
        GPT2Config(**{**GPT2.to_dict(), "activation_function": "relu", "n_inner": 24,
                      "tie_word_embeddings": False, "layer_norm_epsilon": 1e-3}),
        {"activation": "relu", "mlp_ratio": 1.5, "tied": False, "norm_epsilon": 1e-3},
    ),
    "gpt_neox": (
        GPTNeoXForCausalLM, NEOX,
        {"activation": "gelu", "mlp_ratio": 1.5, "tied": False, "position": ROPE},
    ),
    "llama": (LlamaForCausalLM, LlamaConfig(**LLAMA), AS_LLAMA),
    "llama of few kv heads": (
        LlamaForCausalLM, LlamaConfig(**LLAMA, num_key_value_heads=2), AS_LLAMA,
    ),
    "llama with biases": (
        LlamaForCausalLM,
        LlamaConfig(**LLAMA, num_key_value_heads=1, attention_bias=True, tie_word_embeddings=True),
        AS_LLAMA | {"bias": True, "tied": True},
    ),
    "mistral": (
        MistralForCausalLM,
        MistralConfig(**LLAMA, num_key_value_heads=2, sliding_window=4),
        AS_LLAMA | {"attention": WINDOW},
    ),
    "bert": (BertForMaskedLM, BERT, AS_BERT),
}  # fmt: skip


CHANGED = {
    "heads of keys and values are repeated": (
        "llama of few kv heads", "llama with biases", "mistral",
    ),
    "biases that it lacks begin at zero": ("gpt_neox", "llama with biases"),
    "the vector of its first segment is added to every position": ("bert",),
    "the first 12 of its": ("gpt2", "gpt2 of relu", "bert"),
}  # fmt: skip


def theirs(kind: type, config: Any) -> Any:
    """A model all of whose weights and biases count."""
    torch.manual_seed(0)
    made = kind(config).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made


def ours(name: str, head: str = "", **settings: Any) -> Any:
    torch.manual_seed(1)
    config, usual = (BERTConfig, "masked_lm") if name == "bert" else (GPTConfig, "causal_lm")
    return config(**{**SIZES, **settings}).build(head or usual).eval()


@torch.no_grad()
def same_logits(one: torch.nn.Module, other: torch.nn.Module) -> None:
    """With padding at the end, which tells apart who counts it."""
    ids, mask = torch.randint(39, (2, 12)), torch.ones(2, 12, dtype=torch.long)
    ids[0, 9:], mask[0, 9:] = 39, 0
    given = {"input_ids": ids, "attention_mask": mask}
    found, wanted = one(**given).logits, other(**given).logits
    if found.dim() == 3:
        found, wanted = found[mask == 1], wanted[mask == 1]
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_gives_the_same_logits(
    case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO", "loomlab")
    kind, config, settings = CASES[case]
    source, model = theirs(kind, config), ours(case, **settings)
    source.save_pretrained(tmp_path)
    load_initial_weights(model, tmp_path)
    same_logits(model, source)
    for note, cases in CHANGED.items():
        assert (note in caplog.text) == (case in cases), caplog.text


@pytest.mark.parametrize("case", CASES)
def test_there_and_back_is_where_it_was(case: str, tmp_path: Path):
    first, second = (ours(case, **CASES[case][2]) for _ in range(2))
    with torch.no_grad():
        for weight in first.parameters():
            weight.add_(torch.randn_like(weight))
    Safetensors().write(first, {}, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"][:5] != "loom_"
    load_initial_weights(second, tmp_path)
    state = second.state_dict()
    assert all(torch.equal(state[key], value) for key, value in first.state_dict().items())


@pytest.mark.parametrize(
    ("case", "kind", "head", "settings"),
    [
        ("gpt2", GPT2ForSequenceClassification, "sequence_classification", {}),
        ("gpt2", GPT2ForTokenClassification, "token_classification", {}),
        ("llama", LlamaForTokenClassification, "token_classification", {"bias": True}),
        ("bert", BertForSequenceClassification, "sequence_classification", {}),
        ("bert", BertForTokenClassification, "token_classification", {}),
    ],
    ids=str,
)
def test_a_head_of_labels_comes_with_its_trunk(case, kind, head, settings, tmp_path: Path):
    config = type(CASES[case][1])(**{
        **CASES[case][1].to_dict(), "num_labels": 3, "pad_token_id": 39,
        "attention_bias": bool(settings),
    })  # fmt: skip
    source = theirs(kind, config)
    source.save_pretrained(tmp_path)
    model = ours(case, head, **{**CASES[case][2], "num_labels": 3, **settings})
    load_initial_weights(model, tmp_path)
    same_logits(model, source)


def test_another_head_is_new_and_the_log_says_so(tmp_path: Path, caplog):
    caplog.set_level("INFO", "loomlab")
    theirs(GPT2LMHeadModel, GPT2Config(**{**GPT2.to_dict(), "tie_word_embeddings": False})
           ).save_pretrained(tmp_path)  # fmt: skip
    model = ours("gpt2", "sequence_classification", num_labels=3)
    before = model.score.weight.clone()
    load_initial_weights(model, tmp_path)
    assert torch.equal(model.score.weight, before)
    first, second = (r.getMessage() for r in caplog.records)
    assert first.endswith(
        "a GPT-2 of Transformers, under our names; the first 12 of its 16 positions"
    )
    assert "taken: transformer.* (" in second
    assert "dropped: lm_head.weight; new: score.weight" in second


def test_labels_of_texts_are_none_of_tokens(tmp_path: Path):
    """Both are called classifier, of the same shape."""
    theirs(BertForSequenceClassification, BertConfig(**{**BERT.to_dict(), "num_labels": 3})
           ).save_pretrained(tmp_path)  # fmt: skip
    model = ours("bert", "token_classification", num_labels=3, **AS_BERT)
    before = model.score.weight.clone()
    load_initial_weights(model, tmp_path)
    assert torch.equal(model.score.weight, before)


@torch.no_grad()
def test_a_trunk_alone_starts_a_model(tmp_path: Path):
    source, model = theirs(BertModel, BERT), ours("bert", **AS_BERT)
    source.save_pretrained(tmp_path)
    load_initial_weights(model, tmp_path)
    ids = torch.randint(40, (2, 12))
    found, wanted = model.transformer(ids), source(ids)
    torch.testing.assert_close(
        found.last_hidden_state, wanted.last_hidden_state, atol=1e-4, rtol=1e-4
    )


def test_files_of_earlier_years(tmp_path: Path):
    """BERT's norms in gamma and beta, GPT-NeoX's embed_out, masks among the weights; pickled."""
    for case, old in (
        ("bert", (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))),
        ("gpt_neox", (("lm_head.", "embed_out."),)),
        ("gpt2", (("transformer.", ""),)),
    ):
        kind, config, settings = CASES[case]
        source, folder = theirs(kind, config), tmp_path / case
        source.save_pretrained(folder)
        weights = {**load_file(folder / "model.safetensors"),
                   "h.0.attn.bias": torch.ones(1, 1, 4, 4)}  # fmt: skip
        (folder / "model.safetensors").unlink()
        for new, name in old:
            weights = {key.replace(new, name): value for key, value in weights.items()}
        torch.save(weights, folder / "pytorch_model.bin")
        model = ours(case, **settings)
        load_initial_weights(model, folder)
        same_logits(model, source)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path):
    GPT2.save_pretrained(tmp_path)
    torch.save({"wte.weight": print}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin is no plain pickle of tensors"):
        load_initial_weights(ours("gpt2"), tmp_path)


@pytest.mark.parametrize("kind", ["cut", "empty", "no dict", "no tensors"])
def test_damaged_weights_are_refused(kind: str, tmp_path: Path):
    path, whole = tmp_path / "pytorch_model.bin", {"wte.weight": torch.zeros(40, 16)}
    GPT2.save_pretrained(tmp_path)
    torch.save({"no dict": [1], "no tensors": {"wte.weight": 1}}.get(kind, whole), path)
    if kind in ("cut", "empty"):
        path.write_bytes(path.read_bytes()[: 400 * (kind == "cut")])
    with pytest.raises(InputError, match=r"pytorch_model\.bin is no "):
        load_initial_weights(ours("gpt2"), tmp_path)


def test_rows_of_no_token_are_left_out_and_another_vocabulary_is_refused(tmp_path: Path, caplog):
    caplog.set_level("INFO", "loomlab")
    source = theirs(GPT2LMHeadModel, GPT2)
    source.save_pretrained(tmp_path)
    model = ours("gpt2", vocab_size=37)
    load_initial_weights(model, tmp_path)
    table = source.transformer.wte.weight
    assert torch.equal(model.transformer.embedding.weight, table[:37])
    assert "3 rows that stand for no token of the tokenizer are left out" in caplog.text
    with pytest.raises(InputError, match=r"are for 40 tokens, but the tokenizer .* has 41; give"):
        load_initial_weights(ours("gpt2", vocab_size=41), tmp_path)


def test_a_layer_that_ours_lacks_is_refused(tmp_path: Path):
    theirs(GPT2LMHeadModel, GPT2).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    more = {**load_file(path), "transformer.h.2.ln_1.weight": torch.ones(16)}
    save_file(more, path)
    with pytest.raises(InputError, match=r"h\.2\.ln_1\.weight is not in this model"):
        load_initial_weights(ours("gpt2"), tmp_path)
    del more["transformer.h.1.attn.c_attn.weight"], more["transformer.h.2.ln_1.weight"]
    save_file(more, path)
    with pytest.raises(InputError, match=r"layers\.1\.attention\.qkv\.\w+ is missing"):
        load_initial_weights(ours("gpt2"), tmp_path)


def test_another_model_is_refused_with_what_to_type(tmp_path: Path):
    theirs(GPT2LMHeadModel, GPT2).save_pretrained(tmp_path)
    with pytest.raises(
        InputError,
        match=r"is a GPT-2 of 2 layers, 16 wide, 4 heads, and the "
        r"model of this run is another; type model\.layers=2 model\.tied=true$",
    ):
        load_initial_weights(ours("gpt2", layers=1, tied=False), tmp_path)
