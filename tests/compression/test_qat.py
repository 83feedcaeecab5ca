"""Quantization-aware training: what was trained is what is saved."""

from collections.abc import Callable

import pytest
import torch

from loomlab.compression.qat import QAT
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.report.row import read_row
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
IDS = torch.randint(2, 50, (8, 24), generator=torch.Generator().manual_seed(0))


def gpt():
    torch.manual_seed(0)
    return GPTConfig(layers=2, width=32, heads=2, initializer_range=0.2, **SIZES).build(
        "causal_lm"
    )


def train_a_little(model) -> float:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(30):
        loss = model(input_ids=IDS, labels=IDS).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


@pytest.mark.parametrize("bits", [4, 8])
def test_the_converted_model_equals_the_one_that_was_trained(bits: int):
    model, technique = gpt(), QAT(bits=bits)
    before = model(input_ids=IDS).logits
    technique.transform(model)
    rounded = model(input_ids=IDS).logits
    assert (rounded - before).abs().max() > 1e-4, "it is rounded from the first pass on"
    first = model(input_ids=IDS, labels=IDS).loss.item()
    assert train_a_little(model) < first - 0.3, "the gradient goes through"
    with torch.no_grad():
        expected = model(input_ids=IDS).logits
        technique.finalize(model)
        torch.testing.assert_close(model(input_ids=IDS).logits, expected, atol=1e-4, rtol=1e-4)
    assert technique.report()["bits_per_weight"] < bits + 2


def test_the_gradient_is_that_of_the_rounded_weight():
    layer = torch.nn.Linear(8, 3)
    weight = layer.weight.detach().clone()
    model = torch.nn.ModuleDict({"only": layer})
    QAT(bits=4).transform(model)
    x = torch.randn(5, 8)
    (layer(x) ** 2).sum().backward()
    plain = torch.nn.Linear(8, 3)
    plain.load_state_dict({"weight": layer.rounded().detach(), "bias": layer.bias.detach()})
    (plain(x) ** 2).sum().backward()
    assert torch.equal(layer.weight.detach(), weight)
    torch.testing.assert_close(layer.weight.grad, plain.weight.grad)


def test_a_group_that_does_not_divide_is_refused():
    with pytest.raises(InputError, match=r"qat\.group_size=24"):
        QAT(bits=4, group_size=24).transform(gpt())


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_saves_the_integers(train: Callable[..., RunFolder], optimizer: str):
    small = ["model.layers=1", "model.width=16", "model.heads=2"]
    given = [*small, f"optimizer={optimizer}", "callbacks=[checkpoint]", "budget.steps=3"]
    folder = train(*given, "compression=[qat]")
    summary = folder.summary()
    assert summary["compression"]["QAT"]["layers"] == 4
    assert summary["best"]["val/loss"] == pytest.approx(summary["final"]["val/loss"], rel=1e-4)
    assert FinishedRun(folder.path).model.transformer.layers[0].mlp.up.codes.dtype == torch.int8
    assert summary["compressed"]["before"] == {}, "training saw what is saved"
    after, written = summary["compressed"]["after"], folder.model / "model.safetensors"
    assert after["bytes_on_disk"] == written.stat().st_size
    assert after["parameters"] >= after["non_zeros"] > 0
    assert after["val/loss"] == summary["best"]["val/loss"]
    assert read_row("a", folder, None).costs["latency_seconds"] == after["latency_seconds"] > 0
