"""Linear biases: the slopes of the paper, and the distance times the slope."""

import pytest
import torch

from loomlab.position.alibi import ALiBi, slopes


def test_slopes_of_the_paper_for_eight_heads():
    assert slopes(8) == [2.0**-i for i in range(1, 9)]


def test_slopes_for_sixteen_heads():
    assert slopes(16) == pytest.approx([2 ** (-i / 2) for i in range(1, 17)])


def test_slopes_where_heads_are_no_power_of_two():
    # The 8 of the lower power, then every other of the 16 of the higher one.
    extra = [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]
    assert slopes(12) == pytest.approx([2.0**-i for i in range(1, 9)] + extra)


def test_bias_is_minus_slope_times_distance():
    position = ALiBi(width=4, heads=2, context_length=8)
    bias = position.bias(torch.tensor([[2]]), torch.tensor([[0, 1, 2, 3]]))
    assert bias.shape == (1, 2, 1, 4)
    assert bias[0, 0, 0].tolist() == [-2 / 16, -1 / 16, 0, -1 / 16]
    assert bias[0, 1, 0].tolist() == [-2 / 256, -1 / 256, 0, -1 / 256]


def test_it_says_that_it_has_a_bias():
    position = ALiBi(width=4, heads=2, context_length=8)
    assert position.has_bias
    assert torch.equal(
        position.embed(torch.ones(1, 1, 4), torch.tensor([[3]])), torch.ones(1, 1, 4)
    )
