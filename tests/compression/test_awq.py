"""AWQ against rounding to nearest and by hand, on models of every kind."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from loomlab.compression.awq import AWQ, gram_and_sizes, input_scales
from loomlab.compression.quantization import encode, scales_of
from loomlab.model.reshaped import QuantizedLinear, dequantize
from loomlab.run.folder import RunFolder


def problem(outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
    """A weight, and inputs some of which are much larger than the others."""
    torch.manual_seed(0)
    x = torch.randn(300, inputs) * torch.randn(inputs).exp() ** 1.5
    return torch.randn(outputs, inputs), x


def nearest(weight: Tensor, groups: int, bits: int) -> Tensor:
    scales = scales_of(weight, groups, bits)
    return dequantize(encode(weight, scales, bits), scales, "int")


def awq(
    weight: Tensor, x: Tensor, groups: int, bits: int, powers: int = 20
) -> tuple[Tensor, Tensor]:
    codes, scales, moved = AWQ(powers=powers).coded(weight, gram_and_sizes(x), groups, bits)
    return dequantize(codes, scales, "int") / moved, moved


def error(x: Tensor, weight: Tensor, made: Tensor) -> float:
    return float(((x @ (weight - made).T) ** 2).sum())


def test_scales_by_hand():
    sizes = torch.tensor([16.0, 1.0, 0.0, 4.0])
    assert input_scales(sizes, 0.0).tolist() == [1, 1, 1, 1]
    assert input_scales(sizes, 0.5).tolist() == [2, 0.5, 1, 1], "4, 1, -, 2 over their middle, 2"
    assert input_scales(torch.zeros(3), 0.5).tolist() == [1, 1, 1]


def test_what_is_measured_by_hand():
    x = torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    assert gram_and_sizes(x).tolist() == [[10, -2], [-2, 4], [4, 2]]


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("groups", [1, 4])
def test_it_loses_less_than_rounding_to_nearest(bits: int, groups: int):
    weight, x = problem(12, 32)
    made, moved = awq(weight, x, groups, bits=bits)
    assert error(x, weight, made) < 0.9 * error(x, weight, nearest(weight, groups, bits))
    assert moved[x.abs().mean(0).argmax()] == moved.max() > 1


def test_the_best_of_the_powers_is_taken():
    weight, x = problem(6, 16)
    made, _ = awq(weight, x, 2, bits=3, powers=10)
    errors = []
    for step in range(10):
        sizes = x.abs().mean(0) ** (step / 10)
        scales = (sizes / (sizes.max() * sizes.min()).sqrt()).half().float()
        errors.append(error(x, weight, nearest(weight * scales, 2, 3) / scales))
    assert error(x, weight, made) == pytest.approx(min(errors), rel=1e-2)


def test_one_power_is_rounding_to_nearest():
    weight, x = problem(6, 16)
    made, _ = awq(weight, x, 2, bits=4, powers=1)
    assert torch.equal(made, nearest(weight, 2, 4))


def test_what_was_pruned_stays_zero():
    weight, x = problem(12, 32)
    weight[:, 1::2] = 0
    made, _ = awq(weight, x, 2, bits=4)
    assert (made[:, 1::2] == 0).all()


def test_every_kind_of_model(model: nn.Module, batch, is_tied, loads_again):
    technique, tied = AWQ(), is_tied(model)
    technique.transform(model)
    technique.calibrate([batch])
    with torch.no_grad():
        before = model(**batch).logits
        technique.finalize(model)
        logits = model(**batch).logits
    assert (logits - before).norm() < 0.25 * before.norm()
    made = [m for m in model.modules() if isinstance(m, QuantizedLinear)]
    assert len(made) == technique.report()["layers"] > 7
    assert technique.report()["bits_per_weight"] < 4 + 16 / 8 + 16 / 16 + 0.01
    assert is_tied(model) == tied
    loads_again(model)


def test_a_pruned_run_is_quantized(train: Callable[..., RunFolder]):
    small = ["model.layers=1", "model.width=16", "model.heads=2"]
    summary = train(*small, "compression=[awq,prune_wanda]").summary()
    assert summary["compression"]["AWQ"]["sparsity"] >= 0.5
    assert summary["compressed"]["after"]["bits_per_weight"] < 32
