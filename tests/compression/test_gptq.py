"""GPTQ against rounding to nearest and against brute force."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from loomlab.compression.gptq import GPTQ
from loomlab.compression.quantization import encode, scales_of
from loomlab.model.gpt import GPTConfig
from loomlab.model.reshaped import dequantize
from loomlab.model.saved import load_pretrained
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}


def problem(outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(300, inputs) @ torch.randn(inputs, inputs)
    return torch.randn(outputs, inputs), x


def error(x: Tensor, weight: Tensor, made: Tensor) -> float:
    return float(((x @ (weight - made).T) ** 2).sum())


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("groups", [1, 4])
def test_it_loses_less_than_rounding_to_nearest(bits: int, groups: int):
    weight, x = problem(12, 32)
    codes, scales = GPTQ().coded(weight, x.T @ x, groups, bits)
    assert codes.abs().max() <= 2 ** (bits - 1) - 1
    assert scales.shape == (12, groups)
    plain = scales_of(weight, groups, bits)
    nearest = dequantize(encode(weight, plain, bits), plain, "int")
    assert error(x, weight, dequantize(codes, scales, "int")) < error(x, weight, nearest)


def test_it_lies_between_the_best_there_is_and_rounding():
    weight, x = problem(1, 4)
    codes, scales = GPTQ(damping=1e-6).coded(weight, x.T @ x, 1, 3)
    every = torch.tensor(list(product(range(-3, 4), repeat=4))) * scales
    best = min(error(x, weight, row[None]) for row in every)
    nearest = dequantize(encode(weight, scales, 3), scales, "int")
    made = error(x, weight, dequantize(codes, scales, "int"))
    assert best <= made * 1.0001
    assert made <= error(x, weight, nearest)


def test_what_was_pruned_stays_zero():
    weight, x = problem(12, 32)
    weight[:, 1::2] = 0
    codes, _ = GPTQ().coded(weight, x.T @ x, 2, 4)
    assert (codes[:, 1::2] == 0).all()


def test_a_model_loads_again_as_it_was_saved(tmp_path):
    torch.manual_seed(0)
    model = GPTConfig(layers=2, width=32, heads=2, **SIZES).build("causal_lm").eval()
    ids = torch.randint(2, 50, (4, 24))
    technique = GPTQ(bits=3)
    technique.transform(model)
    technique.calibrate([{"input_ids": ids}])
    technique.finalize(model)
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        again = load_pretrained(tmp_path, "causal_lm")(input_ids=ids).logits
        assert torch.equal(again, model(input_ids=ids).logits)


def test_a_pruned_run_is_quantized(train: Callable[..., RunFolder]):
    small = ["model.layers=1", "model.width=16", "model.heads=2"]
    summary = train(*small, "compression=[gptq,prune_wanda]").summary()
    assert summary["compression"]["PruneWanda"]["sparsity"] == 0.5
    assert summary["compression"]["GPTQ"]["sparsity"] >= 0.5
    assert summary["compressed"]["after"]["bits_per_weight"] < 32
