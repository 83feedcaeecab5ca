"""Models of Transformers: built from a type or a folder, and refused in words."""

import time

import pytest
import torch
from transformers import AutoModelForCausalLM

from loomlab.errors import InputError
from loomlab.model import hub
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel

TINY = {
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "hidden_size": 16,
    "intermediate_size": 32,
}
TINY_GPT2 = {"n_layer": 1, "n_head": 2, "n_embd": 16}
SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}


def tokens(length=24):
    return torch.randint(2, 50, (2, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("model_type", "head", "config"),
    [
        ("gpt2", "causal_lm", TINY_GPT2),
        ("llama", "causal_lm", TINY | {"rope_theta": 500.0}),
        ("bert", "causal_lm", TINY),
        ("bert", "masked_lm", TINY),
        ("roberta", "masked_lm", TINY),
    ],
)
def test_a_type_is_built_to_the_size_of_the_data(model_type, head, config):
    model = HFModel(architecture_type=model_type, config=config, **SIZES).build(head)
    output = model(input_ids=tokens(), labels=tokens())
    assert output.logits.shape == (2, 24, 50)
    assert output.loss.isfinite()
    assert model.config.pad_token_id == 1
    assert model.config.eos_token_id == 0
    assert model.dtype == torch.float32


def test_context_length_reaches_the_name_of_each_class():
    assert HFModel(architecture_type="gpt2", config=TINY_GPT2, **SIZES).build(
        "causal_lm"
    ).transformer.wpe.weight.shape == (24, 16)


def test_ids_outside_the_vocabulary_are_dropped():
    model = HFModel(
        architecture_type="gpt2", config=TINY_GPT2, vocab_size=50, context_length=24
    ).build("causal_lm")
    assert model.config.bos_token_id is None
    assert model.config.eos_token_id is None


def test_an_encoder_hides_later_tokens_when_asked_for_next_tokens():
    model = HFModel(architecture_type="bert", config=TINY, **SIZES).build("causal_lm").eval()
    ids = tokens(8)
    other = ids.clone()
    other[:, -1] = 2
    torch.testing.assert_close(model(ids).logits[:, :-1], model(other).logits[:, :-1])


def test_a_model_that_sees_later_tokens_is_refused():
    config = {"n_layer": 1, "n_head": 2, "d_model": 16, "d_inner": 32}
    with pytest.raises(InputError, match="xlnet lets tokens see later ones"):
        HFModel(architecture_type="xlnet", config=config, **SIZES).build("causal_lm")


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = HFModel(architecture_type="gpt2", config=TINY_GPT2, **SIZES).build("causal_lm")
    model.save_pretrained(tmp_path / "saved")
    return model.eval(), str(tmp_path / "saved")


def test_a_folder_gives_its_weights(saved):
    model, folder = saved
    again = HFModel(name=folder, **SIZES).build("causal_lm").eval()
    assert torch.equal(again(tokens()).logits, model(tokens()).logits)
    assert HFModel.problems({"name": folder}, "decoder") == []


def test_a_folder_of_our_own_model_loads_too(tmp_path):
    model = GPTConfig(layers=1, width=16, heads=2, **SIZES).build("causal_lm").eval()
    model.save_pretrained(tmp_path)
    again = HFModel(name=str(tmp_path), **SIZES).build("causal_lm").eval()
    assert torch.equal(again(tokens()).logits, model(tokens()).logits)
    assert isinstance(again, type(AutoModelForCausalLM.from_pretrained(tmp_path)))


def test_a_vocabulary_that_is_too_small_is_refused(saved):
    with pytest.raises(InputError, match="vocabulary of 50, the tokenizer one of 51"):
        HFModel(name=saved[1], **SIZES | {"vocab_size": 51}).build("causal_lm")
    with pytest.raises(InputError, match="vocabulary of 20"):
        HFModel(architecture_type="gpt2", config=TINY_GPT2 | {"vocab_size": 20}, **SIZES).build(
            "causal_lm"
        )


def test_a_context_that_is_too_short_is_refused(saved):
    with pytest.raises(InputError, match="24 positions, too few"):
        HFModel(name=saved[1], **SIZES | {"context_length": 25}).build("causal_lm")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        HFModel(name=str(tmp_path), **SIZES).build("causal_lm")


def test_values_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="does not fit gpt2"):
        HFModel(architecture_type="gpt2", config={"n_layer": "two"}, **SIZES).build("causal_lm")


def test_an_unreachable_hub_is_said_within_seconds(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    # An address reserved for documentation (RFC 5737): nothing ever answers there.
    monkeypatch.setenv("HF_ENDPOINT", "https://192.0.2.1")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    start = time.monotonic()
    with pytest.raises(InputError, match="give a local folder"):
        HFModel(name="loomlab-nobody/nothing", **SIZES).build("causal_lm")
    assert time.monotonic() - start < 5


def test_offline_by_environment_asks_no_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.offline()
    with pytest.raises(InputError, match="not in the local cache"):
        hub.require_checkpoint("loomlab-nobody/nothing")


@pytest.mark.parametrize(
    ("settings", "architecture", "words"),
    [
        ({}, "decoder", "exactly one of"),
        ({"name": "gpt2", "architecture_type": "gpt2"}, "decoder", "exactly one of"),
        ({"architecture_type": "lama"}, "decoder", "did you mean llama"),
        ({"architecture_type": "t5"}, "decoder", "t5 has no causal language model"),
        ({"architecture_type": "llama"}, "encoder", "llama has no masked language model"),
        ({"architecture_type": "gemma3"}, "decoder", "give gemma3_text"),
        (
            {"architecture_type": "llama", "config": {"num_hiden_layers": 2}},
            "decoder",
            "did you mean num_hidden_layers",
        ),
    ],
)
def test_problems_are_found_without_building(settings, architecture, words):
    (problem,) = HFModel.problems(settings, architecture)
    assert words in problem


def test_right_settings_have_no_problems():
    settings = {"architecture_type": "gpt2", "config": {"n_layer": 2, "hidden_size": 16}}
    assert HFModel.problems(settings, "decoder") == []
    assert HFModel.problems({"architecture_type": "bert"}, "encoder") == []
    assert HFModel.problems({"name": "somebody/on-the-hub"}, "encoder") == []
