"""What a config.json says in our settings, and what of it no setting of ours computes."""

import json
from pathlib import Path
from typing import Any

import pytest

from loomlab.errors import InputError
from loomlab.model.standard_settings import checkpoint_of, config_beside

# As they are on the hub, with what those files leave out.
GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 12, "n_embd": 768,
        "n_head": 12, "n_positions": 1024, "vocab_size": 50257}  # fmt: skip
PYTHIA = {"model_type": "gpt_neox", "num_hidden_layers": 6, "hidden_size": 512,
          "num_attention_heads": 8, "intermediate_size": 2048, "rotary_emb_base": 10000,
          "rotary_pct": 1.0, "use_parallel_residual": False, "vocab_size": 50304}  # fmt: skip
LLAMA = {"model_type": "llama", "num_hidden_layers": 30, "hidden_size": 576, "vocab_size": 49152,
         "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536,
         "rms_norm_eps": 1e-5, "rope_theta": 100000, "tie_word_embeddings": True}  # fmt: skip
BERT = {"model_type": "bert", "num_hidden_layers": 6, "hidden_size": 384, "vocab_size": 30522,
        "num_attention_heads": 12, "intermediate_size": 1536}  # fmt: skip


def told(config: dict[str, Any], **more: Any) -> Any:
    found = checkpoint_of(config | more)
    assert found is not None
    return found


def test_files_of_the_hub():
    gpt2 = told(GPT2)
    assert gpt2.settings == {
        "model": "gpt", "model.layers": 12, "model.width": 768, "model.heads": 12,
        "model.norm": "layernorm", "model.norm_order": "pre", "model.norm_epsilon": 1e-5,
        "model.embedding_norm": False, "model.activation": "gelu_tanh", "model.tied": True,
        "model.bias": True, "attention": "full", "position": "learned",
    }  # fmt: skip
    assert (gpt2.hidden, gpt2.positions, gpt2.groups) == (3072, 1024, 12)
    llama = told(LLAMA)
    assert (llama.settings["position.base"], llama.settings["model.tied"]) == (100000, True)
    assert (llama.hidden, llama.positions, llama.groups) == (1536, 0, 3)
    bert = told(BERT).settings
    assert (bert["model"], bert["model.norm_order"], bert["model.norm_epsilon"]) == (
        "bert", "post", 1e-12,
    )  # fmt: skip
    assert told(LLAMA, model_type="mistral").settings["attention.window"] == 4096
    assert told(LLAMA, model_type="mistral", sliding_window=None).settings["attention"] == "full"
    assert not any(told(config).foreign for config in (GPT2, PYTHIA, LLAMA, BERT))
    assert checkpoint_of({"model_type": "t5"}) is checkpoint_of({}) is None


@pytest.mark.parametrize(
    ("config", "more", "foreign"),
    [
        (GPT2, {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx=True"),
        (GPT2, {"scale_attn_weights": False}, "scale_attn_weights=False"),
        (GPT2, {"activation_function": "tanh"}, "activation_function=tanh"),
        (GPT2, {"add_cross_attention": True}, "add_cross_attention=True"),
        (GPT2, {"quantization_config": {"bits": 4}}, "quantization_config"),
        (PYTHIA, {"use_parallel_residual": True}, "use_parallel_residual=True"),
        (PYTHIA, {"rotary_pct": 0.25}, "partial_rotary_factor=0.25"),
        (LLAMA, {"rope_scaling": {"rope_type": "llama3"}}, "rope_type=llama3"),
        (LLAMA, {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type=linear"),
        (LLAMA, {"rope_parameters": {"rope_type": "yarn"}}, "rope_type=yarn"),
        (LLAMA, {"hidden_act": "gelu"}, "hidden_act=gelu"),
        (LLAMA, {"head_dim": 128}, "head_dim=128 beside 9 heads of a width of 576"),
        (BERT, {"position_embedding_type": "relative_key"},
         "position_embedding_type=relative_key"),
        (BERT, {"is_decoder": True}, "is_decoder=True"),
    ],
    ids=str,
)  # fmt: skip
def test_what_ours_do_not_compute(config: dict[str, Any], more: dict[str, Any], foreign: str):
    assert told(config, **more).foreign == (foreign,)


def test_what_an_old_gpt_neox_leaves_out():
    """A quarter of each head is turned, and both branches read the same."""
    short = {key: PYTHIA[key] for key in PYTHIA if key[:3] not in ("rot", "use")}
    assert set(told(short).foreign) == {"use_parallel_residual=True", "partial_rotary_factor=0.25"}


def test_a_size_that_is_missing_is_named():
    with pytest.raises(InputError, match=r"config\.json of this BERT has no hidden_size"):
        checkpoint_of({key: BERT[key] for key in BERT if key != "hidden_size"})


@pytest.mark.parametrize(
    "more",
    [{"hidden_size": "384"}, {"num_attention_heads": 0}, {"num_hidden_layers": None},
     {"architectures": 3}],
    ids=str,
)  # fmt: skip
def test_values_of_another_kind_are_refused(more: dict[str, Any]):
    with pytest.raises(InputError, match=r"config\.json of this BERT has a value of another kind"):
        checkpoint_of(BERT | more)


def test_a_config_beside_weights(tmp_path: Path):
    assert config_beside(tmp_path) == config_beside(tmp_path / "model.safetensors") == {}
    for text, found in ((json.dumps(GPT2), GPT2), ("[1]", {}), ("no json", {})):
        (tmp_path / "config.json").write_text(text)
        assert config_beside(tmp_path) == config_beside(tmp_path / "x.bin") == found
