"""Models of Transformers say numbers in their own unit: here, saved, loaded and started from."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from loomlab.model.foreign_unit import save_own_unit
from loomlab.model.hf import HFModel
from loomlab.model.saved import load_pretrained
from loomlab.run.weight_source import read_source
from loomlab.text.label_set import LabelSet
from loomlab.text.numbers import Spread

BERT = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2,
        "intermediate_size": 32}  # fmt: skip
GPT2 = {"n_layer": 1, "n_embd": 16, "n_head": 2}
SIZES = {"bert": BERT, "gpt2": GPT2, "roberta": BERT}
YEARS = Spread(("year",), (1990.0,), (8.0,))
IDS = torch.tensor([[5, 6, 7, 8], [9, 8, 7, 6]])
HEAD = "sequence_classification"


def built(kind: str | Path, spread: Spread = YEARS) -> Any:
    torch.manual_seed(0)
    labels = LabelSet(spread.names, (9,), 9, 16, spread=spread)
    source = (
        {"name": str(kind)} if isinstance(kind, Path)
        else {"architecture_type": kind, "config": SIZES[kind]}
    )  # fmt: skip
    option = HFModel(
        **source, vocab_size=99, context_length=16, pad_token_id=0, **labels.head_settings()
    )
    return option.build(HEAD).eval()


@torch.no_grad()
def said(model: Any) -> torch.Tensor:
    return model(input_ids=IDS).logits


@pytest.mark.parametrize("kind", ["bert", "gpt2", "roberta"])
def test_what_is_saved_says_the_same_here_and_elsewhere(kind: str, tmp_path: Path):
    model = built(kind)
    first, before = said(model), copy.deepcopy(model.state_dict())
    if kind != "gpt2":  # whose head has no bias that could hold a mean
        assert (first - 1990).abs().max() < 8 * 3
    save_own_unit(model, tmp_path)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert torch.equal(said(model), first), "it can be trained on"
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(said(plain), first)
    ours = load_pretrained(tmp_path, HEAD)
    torch.testing.assert_close(said(ours), first)
    save_own_unit(ours, tmp_path / "again")
    torch.testing.assert_close(said(load_pretrained(tmp_path / "again", HEAD)), first)


def test_a_mean_that_a_head_cannot_hold_is_told(caplog: pytest.LogCaptureFixture):
    model = built("gpt2", Spread(("stars",), (3.0,), (4.0,)))
    assert (model.config.label_mean, model.config.label_deviation) == ([0.0], [5.0])
    assert not caplog.messages
    built("gpt2")
    (said,) = caplog.messages
    assert "1990 give or take 8, and the head of GPT2ForSequenceClassification has no" in said


def test_copies_say_the_same():
    model = built("bert")
    assert torch.equal(said(copy.deepcopy(model)), said(model))


def test_weights_to_start_from_have_no_unit(tmp_path: Path):
    """The head goes on from what it knows of standardized numbers, in the unit of the new ones."""
    model = built("bert")
    save_own_unit(model, tmp_path)
    weights = read_source(tmp_path).weights
    torch.testing.assert_close(weights["classifier.weight"], model.classifier.weight.detach())
    torch.testing.assert_close(
        weights["classifier.bias"], model.classifier.bias.detach(), atol=1e-4, rtol=0
    )
    metres = Spread(("height",), (1.7,), (0.1,))
    other = built(tmp_path, metres)
    torch.testing.assert_close((said(other) - 1.7) / 0.1, (said(model) - 1990) / 8,
                               atol=1e-3, rtol=0)  # fmt: skip
    assert AutoConfig.from_pretrained(tmp_path).label_mean == [1990.0]


def test_another_head_has_no_unit(tmp_path: Path):
    save_own_unit(built("bert"), tmp_path)
    model = HFModel(name=str(tmp_path), vocab_size=99, context_length=16).build("masked_lm")
    assert said(model).shape == (2, 4, 99)
    assert not model._forward_hooks
