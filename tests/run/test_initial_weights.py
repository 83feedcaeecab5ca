"""`init=`: training starts from given weights, or says by name what does not fit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel

from loomlab.compression.prune_structured import PruneStructured
from loomlab.compression.quantize_int8 import QuantizeInt8
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.run.folder import RunFolder
from loomlab.run.initial_weights import load_initial_weights
from loomlab.run.metrics_file import read_metrics

STILL = ["optimizer=sgd", "optimizer.lr=0", "scheduler=constant", "budget.steps=1"]
Finish = Callable[..., RunFolder]


@pytest.fixture(scope="module")
def source(finish: Finish) -> RunFolder:
    return finish("optimizer.lr=0.01", "budget.steps=6", "scheduler=constant")


@pytest.mark.parametrize("where", [".", "model", "model/model.safetensors"])
def test_first_validation_is_that_of_the_source(finish: Finish, source: RunFolder, where: str):
    folder = finish(*STILL, f"init={source.path / where}", "seed=9")
    first = next(r for r in read_metrics(folder.metrics) if "val/loss" in r)
    assert first["val/loss"] == pytest.approx(source.summary()["final"]["val/loss"], abs=1e-6)
    weights = [load_file(f.model / "model.safetensors") for f in (source, folder)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_another_shape_is_named(finish: Finish, source: RunFolder):
    with pytest.raises(InputError, match=r"init=.*do not fit .*embed\S* has another shape"):
        finish(f"init={source.path}", "model.width=32")


def test_a_missing_layer_is_named(finish: Finish, source: RunFolder):
    with pytest.raises(InputError, match=r"do not fit this model: \S*1\S* is missing"):
        finish(f"init={source.path}", "model.layers=2")


def test_a_layer_too_many_is_named(finish: Finish, source: RunFolder, tmp_path: Path):
    weights = load_file(source.model / "model.safetensors")
    path = tmp_path / "more.safetensors"
    save_file({**weights, "transformer.extra.weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"extra\.weight is not in this model"):
        finish(f"init={path}")


def test_an_untied_head_does_not_fit_a_tied_model(finish: Finish):
    """Else the head would overwrite the embedding, or the embedding the head, without a word."""
    untied = finish("model.tied=false", "optimizer.lr=0.01")
    with pytest.raises(InputError, match=r"has values of its own, but is tied in this model"):
        finish(f"init={untied.path}", "model.tied=true")


def test_no_weights_there(finish: Finish, tmp_path: Path):
    with pytest.raises(InputError, match=r"no model\.safetensors there; give a finished run"):
        finish(f"init={tmp_path}")


def test_a_file_of_another_kind(finish: Finish, tmp_path: Path):
    (tmp_path / "weights.pt").write_bytes(b"no tensors at all")
    with pytest.raises(InputError, match=r"init=.*weights\.pt.* is no safetensors file"):
        finish(f"init={tmp_path / 'weights.pt'}")


def hf_bert(kind: type, seed: int, **settings: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    sizes = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2}
    return kind(BertConfig(vocab_size=50, intermediate_size=32, **{**sizes, **settings}))


def test_another_head_is_new_and_the_log_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    source = hf_bert(BertForMaskedLM, 0)
    source.save_pretrained(tmp_path)
    model = hf_bert(BertForSequenceClassification, 1)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    caplog.set_level("INFO", "loomlab")
    load_initial_weights(model, tmp_path)
    after, given = model.state_dict(), source.state_dict()
    new = {"classifier.weight", "classifier.bias", *(k for k in after if ".pooler." in k)}
    assert all(torch.equal(after[k], before[k] if k in new else given[k]) for k in after)
    (line,) = [r.getMessage() for r in caplog.records if "taken" in r.getMessage()]
    assert f"taken: bert.* ({len(after) - len(new)} weights)" in line
    assert "dropped: cls.predictions" in line
    assert "new: bert.pooler.dense.bias, bert.pooler.dense.weight, classifier.bias" in line


def test_a_pooler_comes_and_goes_with_the_head(tmp_path: Path):
    source = hf_bert(BertForSequenceClassification, 0)
    source.save_pretrained(tmp_path)
    model = hf_bert(BertForMaskedLM, 1)
    load_initial_weights(model, tmp_path)
    word = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(model.state_dict()[word], source.state_dict()[word])


def test_a_trunk_alone_starts_a_model_with_a_head(tmp_path: Path):
    trunk = hf_bert(BertModel, 0)
    trunk.save_pretrained(tmp_path)
    model = hf_bert(BertForSequenceClassification, 1)
    load_initial_weights(model, tmp_path)
    assert all(torch.equal(v, model.bert.state_dict()[k]) for k, v in trunk.state_dict().items())


def test_shards_are_put_together(tmp_path: Path):
    source = hf_bert(BertForMaskedLM, 0)
    source.save_pretrained(tmp_path, max_shard_size="4KB")
    assert not (tmp_path / "model.safetensors").exists()
    model = hf_bert(BertForMaskedLM, 1)
    load_initial_weights(model, tmp_path)
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in source.state_dict().items())


@pytest.mark.parametrize("settings", [{"hidden_size": 32}, {"num_hidden_layers": 2}])
def test_another_trunk_is_refused_whatever_the_head(tmp_path: Path, settings: dict[str, int]):
    hf_bert(BertForMaskedLM, 0).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"do not fit this model: bert\."):
        load_initial_weights(hf_bert(BertForSequenceClassification, 1, **settings), tmp_path)


def test_weights_with_nothing_in_common_are_refused(finish: Finish, tmp_path: Path):
    hf_bert(BertForMaskedLM, 0).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"is a BERT of 1 layer, .* type model=bert model\.norm"):
        finish(f"init={tmp_path}")
    (tmp_path / "config.json").unlink()
    with pytest.raises(InputError, match=r"do not fit this model: transformer\..* is missing"):
        finish(f"init={tmp_path}")


def test_a_head_of_its_own_starts_as_the_shared_one(source: RunFolder):
    """A tied model saves its head as the embedding."""
    weights = load_file(source.model / "model.safetensors")
    rows, width = weights["transformer.embedding.weight"].shape
    shape = {"vocab_size": rows, "width": width, "layers": 1, "heads": 2, "context_length": 16}
    model = GPTConfig(tied=False, **shape).build("causal_lm")
    load_initial_weights(model, source.path)
    assert torch.equal(model.lm_head.weight, weights["transformer.embedding.weight"])
    assert model.lm_head.weight is not model.transformer.embedding.weight


def test_a_checkpoint_starts_a_run(finish: Finish):
    settings = ["optimizer.lr=0.01", "scheduler=constant", "callbacks=[checkpoint]"]
    source = finish(*settings, "budget.steps=4")
    folder = finish(*STILL, f"init={source.checkpoints / 'best.ckpt'}", "seed=9")
    weights = [load_file(f.model / "model.safetensors") for f in (source, folder)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_damaged_checkpoint_is_refused(finish: Finish, tmp_path: Path):
    path = tmp_path / "best.ckpt"
    path.write_bytes(b"no tensors at all")
    with pytest.raises(InputError, match=r"is no checkpoint of a run, or a damaged one"):
        finish(f"init={path}")


def test_a_checkpoint_that_would_run_code_is_refused(finish: Finish, tmp_path: Path):
    path = tmp_path / "best.ckpt"
    torch.save({"state_dict": {}, "code": print}, path)
    with pytest.raises(InputError, match=r"is no checkpoint of a run"):
        finish(f"init={path}")


def test_adapters_are_refused_and_their_merged_model_taken(finish: Finish):
    source = finish("compression=[lora]", "callbacks=[checkpoint]")
    with pytest.raises(InputError, match=r"holds adapters .* give the finished run folder"):
        finish(f"init={source.checkpoints / 'last.ckpt'}")
    assert finish(f"init={source.path}").summary()["status"] == "finished"


def test_another_tokenizer_is_refused(finish: Finish, source: RunFolder):
    """Of the same size, so that the shapes alone would fit."""
    sized = ["tokenizer=byte_bpe", "tokenizer.vocab_size=300"]
    first = finish(*sized)
    with pytest.raises(InputError, match=r"init=.* with another tokenizer \(300 tokens"):
        finish("tokenizer=wordpiece", "tokenizer.vocab_size=300", f"init={first.path}")
    assert finish(*sized, f"init={first.path}").summary()["status"] == "finished"


def test_layers_of_compression_come_with_their_weights(tmp_path: Path):
    sizes = {"vocab_size": 50, "context_length": 8, "pad_token_id": 1, "eos_token_id": 0}
    source, model = (GPTConfig(layers=1, width=16, heads=2, **sizes).build("causal_lm").eval()
                     for _ in range(2))  # fmt: skip
    given = {"input_ids": torch.randint(2, 50, (4, 8))}
    for technique in (PruneStructured(channels=0.5), QuantizeInt8(targets=["qkv"])):
        technique.transform(source)
        technique.calibrate([given])
        technique.finalize(source)
    source.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="quantized, and integers do not train"):
        load_initial_weights(model, tmp_path)
    load_initial_weights(model, tmp_path, trains=False)
    with torch.no_grad():
        assert torch.equal(model(**given).logits, source(**given).logits)
