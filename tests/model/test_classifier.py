"""Classifiers on every backbone: which token they read, padding, saving and Auto classes."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForSequenceClassification

from loomlab.errors import InputError
from loomlab.model.bert import BERTConfig
from loomlab.model.classifier import classified, last_kept, near
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel
from loomlab.model.ngram import NGram
from loomlab.model.saved import load_pretrained

LABELS = {"id2label": {0: "no", 1: "yes", 2: "so"}, "label2id": {"no": 0, "yes": 1, "so": 2}}
SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0, **LABELS}
OWN = {"layers": 2, "width": 16, "heads": 2, "initializer_range": 0.3, **SIZES}
TINY = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16,
        "intermediate_size": 32}  # fmt: skip
HEAD = "sequence_classification"
ALIBI = {"_target_": "loomlab.position.alibi.ALiBi"}
WINDOW = {"_target_": "loomlab.attention.sliding_window.SlidingWindow", "window": 4}
MODELS = {
    "gpt": lambda: GPTConfig(**OWN),
    "gpt rope": lambda: GPTConfig(position={"_target_": "loomlab.position.rope.RoPE"}, **OWN),
    "gpt window": lambda: GPTConfig(attention=WINDOW, **OWN),
    "bert": lambda: BERTConfig(**OWN),
    "hf gpt2": lambda: HFModel(
        architecture_type="gpt2", config={"n_layer": 1, "n_head": 2, "n_embd": 16}, **SIZES
    ),
    "hf llama": lambda: HFModel(architecture_type="llama", config=TINY, **SIZES),
    "hf bert": lambda: HFModel(architecture_type="bert", config=TINY, **SIZES),
    "hf distilbert": lambda: HFModel(
        architecture_type="distilbert",
        config={"n_layers": 1, "n_heads": 2, "dim": 16, "hidden_dim": 32}, **SIZES,
    ),
}  # fmt: skip


def build(name: str) -> Any:
    torch.manual_seed(0)
    return MODELS[name]().build(HEAD).eval()


def ids(rows: int = 2, length: int = 9) -> torch.Tensor:
    return torch.randint(2, 50, (rows, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MODELS)
def test_padding_does_not_change_the_logits(name: str):
    model, tokens = build(name), ids()
    plain = model(input_ids=tokens).logits
    padded = F.pad(tokens, (0, 5), value=1)
    mask = (padded != 1).long()
    assert plain.shape == (2, 3)
    assert not torch.allclose(plain[0], plain[1], atol=1e-4)
    torch.testing.assert_close(model(input_ids=padded, attention_mask=mask).logits, plain)


@pytest.mark.parametrize("name", MODELS)
def test_every_token_has_its_say(name: str):
    model, tokens = build(name), ids(1, 3)
    before = model(input_ids=tokens).logits
    for place in range(3):
        other = tokens.clone()
        other[0, place] = 2 if tokens[0, place] != 2 else 3
        assert not torch.allclose(model(input_ids=other).logits, before, atol=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_saved_models_load_with_the_auto_class(name: str, tmp_path: Path):
    model = build(name)
    model.save_pretrained(tmp_path)
    for again in (
        AutoModelForSequenceClassification.from_pretrained(tmp_path).eval(),
        load_pretrained(tmp_path, HEAD).eval(),
    ):
        assert torch.equal(again(input_ids=ids()).logits, model(input_ids=ids()).logits)
        assert again.config.id2label == LABELS["id2label"]
        assert again.config.label2id == LABELS["label2id"]
        assert again.config.pad_token_id == 1


def test_gpt_reads_the_last_token_and_bert_the_first():
    gpt, bert = build("gpt"), build("bert")
    hidden = gpt.transformer(ids()).last_hidden_state
    torch.testing.assert_close(gpt(ids()).logits, hidden[:, -1] @ gpt.score.weight.T)
    first = bert.transformer(ids()).last_hidden_state[:, 0]
    head = bert.classifier
    torch.testing.assert_close(bert(ids()).logits, head.out(torch.tanh(head.dense(first))))


def test_last_kept():
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 0]])
    assert last_kept(mask, mask).tolist() == [1, 3, 2]
    assert last_kept(mask, None).tolist() == [3, 3, 3]


def test_loss_of_one_label_and_of_several():
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    one, several = torch.tensor([0, 2, 1, 1]), torch.tensor([[0, 1, 1]] * 4)
    assert classified(logits, None).loss is None
    expected = -logits.log_softmax(-1)[torch.arange(4), one].mean()
    torch.testing.assert_close(classified(logits, one).loss, expected)
    expected = F.binary_cross_entropy(logits.sigmoid(), several.float())
    torch.testing.assert_close(classified(logits, several).loss, expected)


def test_a_checkpoint_with_other_labels_gets_a_new_head(tmp_path: Path):
    saved = build("hf bert")
    saved.save_pretrained(tmp_path)
    two = {"id2label": {0: "a", 1: "b"}, "label2id": {"a": 0, "b": 1}}
    model = HFModel(name=str(tmp_path), **{**SIZES, **two}).build(HEAD)
    assert model.classifier.weight.shape == (2, 16)
    assert model.config.id2label == two["id2label"]
    embedding = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(model.state_dict()[embedding], saved.state_dict()[embedding])


def test_a_model_without_the_head_refuses_by_name():
    with pytest.raises(InputError, match=r"ngram .* has no 'sequence_classification' head"):
        NGram(vocab_size=50, context_length=24).build(HEAD)
    with pytest.raises(InputError, match="model=gpt is a decoder and has no masked_lm head"):
        GPTConfig(**OWN).build("masked_lm")


@pytest.mark.parametrize("width", [1, 2])
def test_numbers_have_a_mean_squared_error(width: int):
    said = torch.randn(3, width, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(3.0 * width).view(3, width)
    expected = F.mse_loss(said, labels)
    assert near(said, None).loss is None
    torch.testing.assert_close(near(said, labels).loss, expected)
    torch.testing.assert_close(near(said, labels, 6).loss, expected * 3 * width / 6)
    if width == 1:
        torch.testing.assert_close(near(said, labels[:, 0]).loss, expected)
