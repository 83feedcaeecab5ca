"""Rotary positions: scores depend on the distance alone."""

import math

import pytest
import torch

from loomlab.errors import InputError
from loomlab.position.rope import RoPE


def rope(**settings):
    return RoPE(**settings, width=16, heads=2, context_length=8)


def score(position, q, k, query_place, key_place):
    turned_q, _ = position.rotate(q, q, torch.tensor([[query_place]]))
    _, turned_k = position.rotate(k, k, torch.tensor([[key_place]]))
    return (turned_q * turned_k).sum().item()


def test_a_pair_turns_by_the_angle_of_its_place():
    position = RoPE(width=4, heads=1, context_length=8)
    x = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 1, 4)
    turned, _ = position.rotate(x, x, torch.tensor([[2]]))
    expected = torch.tensor([math.cos(2), 0.0, math.sin(2), 0.0]).view(1, 1, 1, 4)
    torch.testing.assert_close(turned, expected)


def test_scores_depend_on_the_distance_alone():
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 2, 1, 8).unbind(0)
    near = score(rope(), q, k, 5, 2)
    assert score(rope(), q, k, 105, 102) == pytest.approx(near, abs=1e-4)
    assert score(rope(), q, k, 5, 1) != pytest.approx(near, abs=1e-2)


def test_lengths_are_kept_and_place_zero_changes_nothing():
    q = torch.randn(1, 2, 3, 8)
    turned, _ = rope(base=500.0).rotate(q, q, torch.tensor([[0, 4, 9]]))
    torch.testing.assert_close(turned.norm(dim=-1), q.norm(dim=-1))
    torch.testing.assert_close(turned[:, :, 0], q[:, :, 0])


def test_bfloat16_tells_far_places_apart():
    q = torch.ones(1, 1, 2, 8, dtype=torch.bfloat16)
    turned, _ = rope().rotate(q, q, torch.tensor([[1000, 1001]]))
    assert turned.dtype == torch.bfloat16
    assert (turned[:, :, 0, 0] - turned[:, :, 1, 0]).abs().item() > 0.1


def test_an_odd_head_is_refused_in_words():
    with pytest.raises(InputError, match="head is 3 wide"):
        RoPE(width=6, heads=2, context_length=8)
