"""SmoothQuant: nothing changes before rounding, outliers are lost less after it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from loomlab.compression.calibration import each_layer
from loomlab.compression.smoothquant import SmoothQuant, largest
from loomlab.compression.targets import linear_layers
from loomlab.model.reshaped import QuantizedLinear
from loomlab.run.folder import RunFolder


class Divided(nn.Linear):
    """A layer that divides its inputs first: what SmoothQuant makes, before rounding."""

    moved: Tensor

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input / self.moved)


def test_scales_by_hand():
    weight = torch.tensor([[1.0, -4.0, 0.0, 5.0], [0.5, 2.0, 0.0, 1.0]])
    made, scales = SmoothQuant().smoothed(weight, torch.tensor([4.0, 64.0, 9.0, 0.0]))
    assert scales.tolist() == [2, 4, 1, 1], "sqrt(4 / 1), sqrt(64 / 4), none read, none there"
    assert made.tolist() == [[2, -16, 0, 5], [1, 8, 0, 1]]
    assert SmoothQuant(alpha=1.0).smoothed(weight, torch.full((4,), 8.0))[1][0] == 8
    assert largest(torch.tensor([[1.0, -3.0], [-2.0, 0.5]])).tolist() == [2, 3]


def test_before_rounding_nothing_has_changed(model: nn.Module, batch):
    technique = SmoothQuant()
    with torch.no_grad():
        before = model(**batch).logits
        layers = linear_layers(model, [], "smoothquant")
        for _, layer, seen in each_layer(model, layers, [batch], largest, torch.maximum):
            assert seen.max() > 0
            weight, moved = technique.smoothed(layer.weight, seen)
            assert (moved != 1).any()
            layer.weight.copy_(weight)
            layer.__class__, layer.moved = Divided, moved
        torch.testing.assert_close(model(**batch).logits, before, atol=1e-5, rtol=1e-5)


def test_every_kind_of_model(model: nn.Module, batch, is_tied, loads_again):
    technique, tied = SmoothQuant(), is_tied(model)
    technique.transform(model)
    technique.calibrate([batch])
    with torch.no_grad():
        before = model(**batch).logits
        technique.finalize(model)
        by_integers = model(**batch).logits
    assert 1e-4 * before.norm() < (by_integers - before).norm() < 0.02 * before.norm()
    in_floats = model(**batch).logits.detach()
    torch.testing.assert_close(in_floats, by_integers, atol=1e-5, rtol=1e-4)
    made = [m for m in model.modules() if isinstance(m, QuantizedLinear)]
    assert all(m.activations == 8 and m.codes.dtype == torch.int8 for m in made)
    assert len(made) == technique.report()["layers"] > 7
    assert 8 < technique.report()["bits_per_weight"] < 8 + 32 / 16 + 16 / 16 + 0.01
    assert is_tied(model) == tied
    loads_again(model)


def test_outliers_of_inputs_cost_less_when_they_are_moved():
    torch.manual_seed(0)
    x = torch.randn(200, 32)
    x[:, 3] *= 60
    errors = []
    for alpha in (0.0, 0.5):  # at 0 inputs are only scaled by what their weights are
        layer = nn.Linear(32, 24)
        nn.init.normal_(layer.weight, std=0.1, generator=torch.Generator().manual_seed(1))
        model, technique = nn.Sequential(layer), SmoothQuant(alpha=alpha)
        model.config = type("Config", (), {})()
        with torch.no_grad():
            expected = model(x)
            _, moved = technique.smoothed(layer.weight, largest(x))
            technique._batches = [{"input": x}]
            technique.finalize(model)
            assert torch.equal(model[0].input_scales.float(), moved)
            errors.append(float((model(x) - expected).norm() / expected.norm()))
    assert errors[1] < 0.5 * errors[0]
    assert errors[1] < 0.02


def test_a_run_is_quantized(train: Callable[..., RunFolder]):
    small = ["model.layers=1", "model.width=16", "model.heads=2"]
    summary = train(*small, "compression=[smoothquant,prune_magnitude]").summary()
    assert summary["compression"]["SmoothQuant"]["sparsity"] >= 0.5
    after, before = summary["compressed"]["after"], summary["compressed"]["before"]
    assert after["bits_per_weight"] < 32
    assert after["val/loss"] == pytest.approx(before["val/loss"], rel=0.01)
