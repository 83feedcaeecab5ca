"""Integers and scales by hand; what they are rounded to is what is saved."""

import pytest
import torch
from torch import nn

from loomlab.compression.quantization import encode, groups_of, scales_of
from loomlab.errors import InputError
from loomlab.model.reshaped import NF4, QuantizedLinear, dequantize, pack, unpack


def test_eight_bits_by_hand():
    weight = torch.tensor([[127.0, -63.4, 0.0, 1.6], [0.0, 0.0, 0.0, 0.0]])
    scales = scales_of(weight, 1, 8)
    assert scales[0].item() == 1
    assert encode(weight, scales, 8).tolist() == [[127, -63, 0, 2], [0, 0, 0, 0]]


def test_four_bits_in_groups_by_hand():
    weight = torch.tensor([[7.0, -3.4, 14.0, 3.0]])
    scales = scales_of(weight, 2, 4)
    assert scales.tolist() == [[1, 2]]
    codes = encode(weight, scales, 4)
    assert codes.tolist() == [[7, -3, 7, 2]]
    assert dequantize(codes, scales, "int").tolist() == [[7, -3, 14, 4]]


def test_nf4_takes_the_nearest_of_its_values():
    torch.manual_seed(0)
    weight = torch.randn(5, 32)
    weight[:, ::2] = 0
    scales = scales_of(weight, 2, 4, "nf4")
    made = dequantize(encode(weight, scales, 4, "nf4"), scales, "nf4")
    wide = scales.repeat_interleave(16, 1)
    choices = torch.tensor(NF4) * wide[:, :, None]
    nearest = choices.gather(2, (choices - weight[:, :, None]).abs().argmin(2, keepdim=True))
    torch.testing.assert_close(made, nearest[:, :, 0])
    assert ((made == 0) >= (weight == 0)).all(), "zero stays zero"


@pytest.mark.parametrize("inputs", [8, 7])
def test_two_to_a_byte_and_back(inputs: int):
    codes = torch.randint(-8, 8, (3, inputs), dtype=torch.int8)
    assert pack(codes).shape == (3, 4)
    assert torch.equal(unpack(pack(codes), inputs), codes)


def test_the_layer_answers_as_one_of_that_weight():
    torch.manual_seed(0)
    layer = nn.Linear(32, 5)
    scales = scales_of(layer.weight, 2, 4)
    made = QuantizedLinear.of(layer, encode(layer.weight, scales, 4), scales, 4, "int")
    x = torch.randn(2, 3, 32)
    step = scales.repeat_interleave(16, 1)
    assert ((made.weight - layer.weight).abs() <= step * 0.501).all(), "half a step at most"
    layer.weight.data = made.weight
    assert torch.equal(made(x), layer(x))


def test_groups_that_do_not_fit_are_refused_by_name():
    layers = {"one": nn.Linear(64, 2), "mlp.up": nn.Linear(48, 2)}
    with pytest.raises(InputError, match=r"gptq\.group_size=32 .* 48 inputs of mlp\.up"):
        groups_of(layers, 32, "gptq")
    assert groups_of(layers, None, "gptq") == {"one": 1, "mlp.up": 3}
    assert groups_of({"odd": nn.Linear(7, 2)}, None, "gptq") == {"odd": 1}
