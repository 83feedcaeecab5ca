"""Ternary weights: by hand, through training, and four to a byte in what is saved."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from loomlab.compression.ternary import BitLinear, Ternary, thirds
from loomlab.model.eight_bits import linear
from loomlab.model.reshaped import QuantizedLinear, dequantize, pack, unpack
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder


def test_weights_by_hand():
    weight = torch.tensor([[3.0, -0.4, 0.0], [-2.0, 0.6, 0.0]])
    codes, size = thirds(weight)
    assert size.item() == 1
    assert codes.tolist() == [[1, 0, 0], [-1, 1, 0]]
    assert dequantize(*thirds(weight * 5), "int").tolist() == [[5, 0, 0], [-5, 5, 0]]
    assert thirds(torch.zeros(2, 2))[0].count_nonzero() == 0


@pytest.mark.parametrize("dtype", [torch.int8, torch.float32])
def test_inputs_by_hand(dtype: torch.dtype):
    x = torch.tensor([[127.0, -63.4, 1.6], [0.0, 0.0, 0.0], [1.27, 0.004, -0.006]])
    expected = torch.tensor([[127.0, -63, 2], [0, 0, 0], [1.27, 0, -0.01]])
    every = torch.eye(3, dtype=dtype)
    with torch.no_grad():
        made = linear(x, every, torch.ones(1, 1), None)
    torch.testing.assert_close(made, expected)
    linear(x.requires_grad_(), every, torch.ones(1, 1), None).sum().backward()
    torch.testing.assert_close(x.grad, torch.ones(3, 3), msg="the gradient goes straight through")


@pytest.mark.parametrize("inputs", [8, 7, 5])
def test_four_to_a_byte_and_back(inputs: int):
    codes = torch.randint(-2, 2, (3, inputs), dtype=torch.int8)
    assert pack(codes, 2).shape == (3, 2)
    assert torch.equal(unpack(pack(codes, 2), inputs, 2), codes)


def test_the_gradient_is_that_of_the_ternary_layer():
    layer, plain = nn.Linear(8, 3), nn.Linear(8, 3)
    Ternary().transform(nn.ModuleDict({"only": layer}))
    x, scales = torch.randn(5, 8), torch.randn(5, 3)
    rounded = linear(x, torch.eye(8), torch.ones(1, 1), None)
    weight = dequantize(*thirds(layer.weight), "int")
    plain.load_state_dict({"weight": weight, "bias": layer.bias.detach()})
    made, expected = layer(x), plain(rounded)
    torch.testing.assert_close(made, expected)
    (made * scales).sum().backward()
    (expected * scales).sum().backward()
    torch.testing.assert_close(layer.weight.grad, plain.weight.grad)
    torch.testing.assert_close(layer.bias.grad, plain.bias.grad)


def test_what_was_trained_is_what_is_saved(model: nn.Module, batch, is_tied, loads_again):
    technique, tied = Ternary(), is_tied(model)
    technique.transform(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3
    layers = [m for m in model.modules() if isinstance(m, BitLinear)]
    with torch.no_grad():
        expected = model(**batch).logits
        technique.finalize(model)
        by_integers = model(**batch).logits
    made = [m for m in model.modules() if isinstance(m, QuantizedLinear)]
    assert len(made) == len(layers) == technique.report()["layers"]
    for was, layer in zip(layers, made, strict=True):
        torch.testing.assert_close(layer.weight.unique(), layer.scales[0] * torch.arange(-1, 2))
        torch.testing.assert_close(layer.scales[0, 0], was.weight.detach().abs().mean())
    torch.testing.assert_close(by_integers, expected, atol=1e-5, rtol=1e-5)
    in_floats = model(**batch).logits.detach()
    torch.testing.assert_close(in_floats, expected, atol=1e-5, rtol=1e-5)
    assert 2 < technique.report()["bits_per_weight"] < 2.2
    assert is_tied(model) == tied
    loads_again(model)


def test_a_run_saves_two_bits_a_weight(train: Callable[..., RunFolder]):
    small = ["model.layers=1", "model.width=16", "model.heads=2"]
    folder = train(*small, "callbacks=[checkpoint]", "budget.steps=3", "compression=[ternary]")
    summary = folder.summary()
    assert summary["compression"]["Ternary"]["layers"] == 4
    assert summary["best"]["val/loss"] == pytest.approx(summary["final"]["val/loss"], rel=1e-4)
    codes = FinishedRun(folder.path).model.transformer.layers[0].mlp.up.codes
    assert codes.dtype == torch.uint8
    assert codes.shape[1] == 16 // 4
