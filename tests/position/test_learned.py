"""Learned positions add a vector per place and know no place beyond."""

import pytest
import torch

from loomlab.errors import InputError
from loomlab.position.learned import Learned


def test_the_vector_of_each_place_is_added():
    position = Learned(width=4, heads=2, context_length=5)
    torch.nn.init.normal_(position.table.weight)
    x = torch.randn(2, 3, 4)
    place = torch.tensor([[0, 1, 2], [4, 0, 3]])
    torch.testing.assert_close(position.embed(x, place), x + position.table.weight[place])


def test_the_table_is_trained():
    position = Learned(width=4, heads=2, context_length=5)
    position.embed(torch.zeros(1, 2, 4), torch.tensor([[1, 3]])).sum().backward()
    assert position.table.weight.grad.sum(-1).tolist() == [0, 4, 0, 4, 0]


def test_building_draws_no_random_numbers():
    before = torch.get_rng_state()
    Learned(width=4, heads=2, context_length=5)
    assert torch.equal(before, torch.get_rng_state())


def test_a_longer_sequence_is_refused_in_words():
    position = Learned(width=4, heads=2, context_length=5)
    position.check_length(5)
    with pytest.raises(InputError, match="6 tokens is longer than the 5"):
        position.check_length(6)
