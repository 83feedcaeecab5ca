"""What to type where the model of a run is none of a checkpoint's."""

from typing import Any

from tests.model.test_standard_settings import BERT, GPT2, LLAMA, PYTHIA, told

from loomlab.model.standard_misfit import given_settings, misfit

DEFAULTS = {
    "layers": 4, "width": 256, "heads": 4, "mlp_ratio": 4.0, "norm": "layernorm",
    "norm_order": "pre", "norm_epsilon": 1e-5, "embedding_norm": False,
    "activation": "gelu_tanh", "tied": True, "bias": True,
}  # fmt: skip
BASE = DEFAULTS | {"layers": 12, "width": 768, "heads": 12}


def to_type(config: dict[str, Any], model: dict[str, Any], length: int = 256, **more: Any) -> str:
    given = given_settings(model, more.pop("attention", None), more.pop("position", None),
                           "decoder")  # fmt: skip
    found = misfit("there", told(config, **more), given, length, True)
    return "" if found is None else found[1]


def test_what_differs_is_to_be_typed_and_nothing_else():
    assert to_type(GPT2, BASE) == ""
    assert to_type(GPT2, DEFAULTS) == "type model.layers=12 model.width=768 model.heads=12"
    assert to_type(GPT2, BASE, 2048) == "type sequence_length=1024"
    assert to_type(GPT2, BASE, n_inner=1000) == "type model.mlp_ratio=1.302"
    assert to_type(GPT2, BASE, position={"_target_": "loomlab.position.rope.RoPE"}) == (
        "type position=learned"
    )
    assert to_type(BERT, BASE | {"activation": "gelu"}).startswith(
        "type model=bert model.layers=6"
    )


def test_llama_needs_rotary_positions_of_its_base_and_a_gated_mlp():
    typed = to_type(LLAMA, BASE).removeprefix("type ").split()
    assert set(typed) == {
        "model.layers=30", "model.width=576", "model.heads=9", "model.norm=rmsnorm",
        "model.activation=swiglu", "model.bias=false", "position=rope", "position.base=100000",
    }  # fmt: skip
    assert "model.mlp_ratio=4.03 " in to_type(LLAMA, BASE, intermediate_size=1548) + " "
    rope = {"_target_": "loomlab.position.rope.RoPE", "base": 10000.0}
    assert to_type(LLAMA, BASE, position=rope).endswith("position.base=100000")


def test_what_ours_do_not_compute_is_trained_as_it_is():
    found = misfit("there", told(PYTHIA, rotary_pct=0.25), {}, 8, True)
    assert found == (
        "there is a GPT-NeoX with partial_rotary_factor=0.25, which our models do not compute",
        "train it as it is, by model=hf model.name=there",
    )


def test_only_a_head_that_gives_tokens_is_tied():
    given = given_settings(BASE | {"tied": False}, None, None, "decoder")
    assert misfit("there", told(GPT2), given, 8, gives_tokens=False) is None
    assert misfit("there", told(GPT2), given, 8, gives_tokens=True)[1] == "type model.tied=true"
