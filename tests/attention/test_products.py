"""Plain products give what the fused kernel gives, gradients included."""

import pytest
import torch
import torch.nn.functional as F

from loomlab.attention.products import LONGEST, attend, is_short

SHAPE = (2, 2, 6, 4)


def heads() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(SHAPE, dtype=torch.float64, requires_grad=True) for _ in range(3)]


def mask() -> torch.Tensor:
    unseen = torch.ones(6, 6, dtype=torch.bool).triu(1)
    bias = torch.randn(2, 1, 6, 6, dtype=torch.float64)
    return bias.masked_fill(unseen, float("-inf"))


@pytest.mark.parametrize("added", [None, mask()], ids=["all keys", "mask and bias"])
def test_values_and_gradients_equal_the_fused_kernel(added: torch.Tensor | None):
    mine, fused = heads(), heads()
    outer = torch.randn(SHAPE, dtype=torch.float64)
    mixed = attend(*mine, added)
    expected = F.scaled_dot_product_attention(*fused, added)
    torch.testing.assert_close(mixed, expected)
    gradients = torch.autograd.grad(mixed, mine, outer)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, fused, outer))


def test_gradients_equal_finite_differences():
    assert torch.autograd.gradcheck(attend, (*heads(), mask()))


def test_where_the_kernel_is_needed():
    q = torch.zeros(1, 1, 4, 2)
    long = torch.zeros(1, 1, LONGEST + 1, 2)
    learned = torch.zeros(1, 1, 4, 4, requires_grad=True)
    assert is_short(q, q, None, 0.0)
    assert not is_short(long, long, None, 0.0)
    assert not is_short(q, q, learned, 0.0), "no gradient would reach the bias"
    assert not is_short(q, q, None, 0.1), "no weights are dropped"
    assert not is_short(q[:, :, :1], q, None, 0.0), "one new token: nothing to gain"


def test_in_mixed_precision_a_layer_before_it_may_have_given_another_type():
    torch.manual_seed(0)
    inputs = [torch.randn(SHAPE, requires_grad=True) for _ in range(3)]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = attend(*inputs, None)
        expected = F.scaled_dot_product_attention(*inputs)
    assert mixed.dtype == expected.dtype == torch.bfloat16
    mixed.float().sum().backward()
    assert all(x.grad is not None and x.grad.dtype == torch.float32 for x in inputs)
