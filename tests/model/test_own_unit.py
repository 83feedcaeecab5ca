"""Numbers in the unit of their labels: there and back, and inside a head."""

import pytest
import torch
from torch import nn
from transformers import PreTrainedConfig

from loomlab.model.own_unit import fold_unit, in_own_unit, label_unit, standardized, unfold_unit

CONFIG = PreTrainedConfig(label_mean=[1990.0, -2.5], label_deviation=[8.0, 0.01])
NAMES = PreTrainedConfig()


def test_there_and_back():
    said = torch.tensor([[0.0, 1.0], [-2.0, 0.5]])
    own = in_own_unit(said.bfloat16(), CONFIG)
    assert own.dtype == torch.float32, "16 bits cannot tell one year from another"
    assert own.tolist() == [pytest.approx([1990, -2.49]), pytest.approx([1974, -2.495])]
    assert standardized(own.double(), CONFIG).tolist() == [
        pytest.approx(row, abs=1e-4) for row in said.tolist()
    ]


def test_names_have_no_unit():
    said = torch.ones(2, 2)
    assert label_unit(NAMES) is None
    assert in_own_unit(said, NAMES) is said
    assert standardized(said, NAMES) is said
    layer = nn.Linear(3, 2)
    before = layer.weight.clone()
    fold_unit(layer, NAMES)
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("bias", [True, False])
def test_a_head_takes_the_unit_in_and_gives_it_back(bias: bool):
    torch.manual_seed(0)
    layer, hidden = nn.Linear(3, 2, bias=bias), torch.randn(4, 3)
    before = [p.detach().clone() for p in layer.parameters()]
    config = CONFIG if bias else PreTrainedConfig(label_mean=[0, 0], label_deviation=[8.0, 0.01])
    wanted = in_own_unit(layer(hidden), config)
    fold_unit(layer, config)
    torch.testing.assert_close(layer(hidden), wanted)
    unfold_unit(layer.weight, layer.bias, config)
    for now, then in zip(layer.parameters(), before, strict=True):
        torch.testing.assert_close(now.detach(), then, atol=1e-4, rtol=1e-4)
