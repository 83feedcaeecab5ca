"""Layers are skipped whole, at the rate asked for and in training alone; names stay."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.regularization.layer_drop import LayerDrop
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

SIZES = {"layers": 4, "width": 16, "heads": 2, "vocab_size": 32, "context_length": 8}
HEADS = {"num_hidden_layers": 4, "hidden_size": 16, "num_attention_heads": 2}
IDS = torch.arange(8)[None]
RUN = ["model.layers=4", "model.width=16", "model.heads=2", "callbacks=[checkpoint]"]

DROP = ["regularization=[layer_drop]", "regularization.layer_drop.rate=0.4"]


def gpt() -> nn.Module:
    torch.manual_seed(0)
    return GPTConfig(**SIZES).build("causal_lm")


def of(model_type: str, auto: Any = AutoModelForCausalLM, **sizes: int) -> nn.Module:
    special = dict.fromkeys(("bos_token_id", "eos_token_id"), 1)
    off = dict.fromkeys(("hidden_dropout_prob", "resid_pdrop", "dropout", "attn_pdrop"), 0.0)
    config = AutoConfig.for_model(model_type, vocab_size=32, **special, **off, **sizes)
    return auto.from_config(config)


BUILD = {
    "gpt": gpt,
    "hf_gpt2": lambda: of("gpt2", n_layer=4, n_embd=16, n_head=2, embd_pdrop=0.0),
    "hf_bert": lambda: of(
        "bert", AutoModelForMaskedLM, intermediate_size=32, attention_probs_dropout_prob=0.0,
        **HEADS,
    ),
    "hf_llama": lambda: of("llama", intermediate_size=32, num_key_value_heads=2, **HEADS),
    "hf_deberta": lambda: of(
        "deberta-v2", AutoModelForMaskedLM, intermediate_size=32, attention_probs_dropout_prob=0.0,
        **HEADS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BUILD)
def test_evaluation_has_all_layers_and_training_some(name: str):
    model = BUILD[name]().eval()
    names = list(model.state_dict())
    with torch.no_grad():
        before = model(input_ids=IDS).logits
        LayerDrop(rate=0.5).transform(model)
        assert torch.equal(model(input_ids=IDS).logits, before)
        drawn = [model.train()(input_ids=IDS).logits for _ in range(12)]
        assert torch.equal(model.eval()(input_ids=IDS).logits, before)
    assert list(model.state_dict()) == names
    assert len({round(float(x.sum()), 3) for x in drawn}) > 3


def test_a_model_of_skipped_layers_is_one_without_them():
    model = LayerDrop(rate=0.5).transform(gpt())
    model.eval()(input_ids=IDS)
    for layer in model.transformer.layers:
        layer.drop_rate = 1.0
    skipped = model.train()(input_ids=IDS).logits
    shorter = gpt()
    shorter.transformer.layers = nn.ModuleList()
    torch.testing.assert_close(skipped, shorter(input_ids=IDS).logits)


def test_rate_is_how_often_a_layer_is_left_out():
    model = LayerDrop(rate=0.3).transform(gpt()).eval()
    model(input_ids=IDS)
    ran = []
    for layer in model.transformer.layers:
        layer.mlp.register_forward_hook(lambda *_: ran.append(1))
    torch.manual_seed(1)
    model.train()
    with torch.no_grad():
        for _ in range(500):
            model(input_ids=IDS)
    assert len(ran) / 2000 == pytest.approx(0.7, abs=0.03)


def test_skipped_weights_have_a_gradient_of_zero():
    model = LayerDrop(rate=0.5).transform(gpt()).eval()
    model(input_ids=IDS)
    layers = model.transformer.layers
    layers[1].drop_rate, layers[2].drop_rate = 1.0, 0.0
    layers[1].mlp.up.weight.requires_grad_(False)
    model.train()(input_ids=IDS, labels=IDS).loss.backward()
    assert not any(p.grad.any() for p in layers[1].parameters() if p.requires_grad)
    assert layers[1].mlp.up.weight.grad is None
    assert all(p.grad is not None for p in layers[2].parameters())


def test_a_copy_drops_its_own_layers():
    model = LayerDrop(rate=0.5).transform(gpt())
    other = copy.deepcopy(model).eval()
    for parameter in other.parameters():
        parameter.data.zero_()
    assert not other(input_ids=IDS).logits.any()
    assert model.eval()(input_ids=IDS).logits.any()


def test_a_model_without_layers_is_refused():
    with pytest.raises(InputError, match="Linear has no numbered layers"):
        LayerDrop().transform(nn.Linear(2, 2))


def test_layers_that_hand_on_more_are_refused():
    model = of("gptj", n_layer=2, n_embd=16, n_head=2, rotary_dim=4)
    LayerDrop().transform(model)
    with pytest.raises(InputError, match="GPTJBlock hands on more than hidden states"):
        model.eval()(input_ids=IDS)


def losses(folder: RunFolder) -> list[float]:
    return [r["train/loss"] for r in read_metrics(folder.metrics) if "train/loss" in r]


def test_a_run_is_changed(train: Callable[..., RunFolder]):
    given = [*RUN, "callbacks=[]", "budget.steps=4"]
    dropped = train(*given, *DROP, folder="dropped")
    assert losses(dropped) != losses(train(*given, folder="plain"))


@pytest.mark.soak  # the gate has it together with dropout and adapters
def test_a_run_resumes_exactly(train: Callable[..., RunFolder]):
    given = [*RUN, *DROP, "trainer.val_every_n_steps=4", "scheduler=constant"]
    straight = train(*given, "budget.steps=8", folder="straight")
    folder = train(*given, "budget.steps=4")
    train(*given, "budget.steps=8", f"resume={folder.path}")
    assert losses(straight) == losses(folder)
    ends = [torch.load(f.checkpoints / "last.ckpt", weights_only=True) for f in (straight, folder)]
    for key, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][key]), key
