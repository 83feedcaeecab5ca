"""Weights to start from are judged before anything is started: by what lies beside them."""

import json
from pathlib import Path

import pytest

from loomlab.compose.gate import check

GPT2 = {"model_type": "gpt2", "n_layer": 2, "n_embd": 64, "n_head": 2, "n_positions": 512,
        "vocab_size": 300}  # fmt: skip
FITTING = ["model.layers=2", "model.width=64", "model.heads=2"]


def problems(*overrides: str) -> list[str]:
    return list(map(str, check(list(overrides)).problems.get(0, [])))


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(GPT2))
    return tmp_path


def test_what_fits_is_let_through(gpt2: Path):
    assert problems(f"init={gpt2}", *FITTING) == []
    (gpt2 / "model.safetensors").touch()
    assert problems(f"init={gpt2 / 'model.safetensors'}", *FITTING, "sequence_length=512") == []


def test_what_does_not_fit_is_told_with_what_to_type(gpt2: Path):
    start = f"init: {gpt2} is a GPT-2 of 2 layers, 64 wide, 2 heads, and the model of this run is"
    sizes = "type model.layers=2 model.width=64 model.heads=2"
    assert problems(f"init={gpt2}") == [f"{start} another; {sizes}"]
    longer = [f"init={gpt2}", *FITTING, "sequence_length=600", "position=rope"]
    assert problems(*longer) == [f"{start} another; type position=learned sequence_length=512"]
    encoder = problems(f"init={gpt2}", "model=bert", "objective=mlm", "tokenizer=wordpiece")
    assert len(encoder) == 1
    assert "type model=gpt model.layers=2" in encoder[0]


def test_only_a_head_that_gives_tokens_is_tied(gpt2: Path):
    labels = ["objective=classification", "corpus=rotten_tomatoes"]
    assert problems(f"init={gpt2}", *FITTING, "model.tied=false", *labels) == []
    assert "type model.tied=true" in problems(f"init={gpt2}", *FITTING, "model.tied=false")[0]


def test_what_ours_do_not_compute_and_what_is_no_config(gpt2: Path):
    (gpt2 / "config.json").write_text(json.dumps(GPT2 | {"scale_attn_weights": False}))
    (said,) = problems(f"init={gpt2}", *FITTING)
    assert "with scale_attn_weights=False, which our models do not compute" in said
    assert said.endswith(f"train it as it is, by model=hf model.name={gpt2}")
    assert problems(f"init={gpt2}", "model=hf", "model.architecture_type=gpt2") == []
    (gpt2 / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    assert "the config.json of this GPT-2 has no n_layer" in problems(f"init={gpt2}")[0]


def test_a_path_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A name with one slash may be one of the hub, unless its folder is here."""
    monkeypatch.chdir(tmp_path)
    Path("outputs").mkdir()
    for place in ("outputs/rn1", "/no/such/run", "rn1", "a/b/c"):
        assert problems(f"init={place}") == [
            f"init: {place} does not exist; "
            "give a run folder, a saved model or its name on the hub"
        ]


def test_a_name_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreachable_hub: list[float | None]
):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    (said,) = problems("init=some/body", "tokenizer=byte")
    assert said == (
        "init: some/body is no local folder, is not in the local cache, and the hub cannot be "
        "reached: give a local folder with config.json and weights "
        "(init=/path/to/folder)."
    )
    assert unreachable_hub == [1.0]
    model, commit = tmp_path / "models--some--body", "c" * 40
    (model / "snapshots" / commit).mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    (model / "snapshots" / commit / "config.json").write_text(json.dumps(GPT2))
    assert problems("init=some/body", "tokenizer=byte", *FITTING) == []
    assert "type model.layers=2" in problems("init=some/body", "tokenizer=byte")[0]
    assert unreachable_hub == [1.0], "what is cached is not asked for"


def test_a_run_that_goes_on_needs_no_source(tmp_path: Path):
    assert not [p for p in problems("init=/no/such/run", f"resume={tmp_path}") if "init" in p]
