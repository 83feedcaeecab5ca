"""Sinusoidal positions against values worked out by hand."""

import math

import pytest
import torch

from loomlab.errors import InputError
from loomlab.position.sinusoidal import Sinusoidal


def test_values_worked_out_by_hand():
    # Width 4: frequencies 10000^0 = 1 and 10000^(-2/4) = 0.01.
    position = Sinusoidal(width=4, heads=1, context_length=8)
    waves = position.waves(torch.tensor([[0, 1, 3]]))[0]
    expected = [
        [0.0, 1.0, 0.0, 1.0],
        [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)],
        [math.sin(3), math.cos(3), math.sin(0.03), math.cos(0.03)],
    ]
    torch.testing.assert_close(waves, torch.tensor(expected))


def test_embeddings_are_scaled_by_the_root_of_the_width():
    position = Sinusoidal(base=100.0, width=16, heads=1, context_length=8)
    place = torch.arange(3)[None]
    out = position.embed(torch.ones(1, 3, 16), place)
    torch.testing.assert_close(out, 4.0 + position.waves(place))


def test_any_length_can_be_read():
    position = Sinusoidal(width=4, heads=1, context_length=8)
    position.check_length(1000)
    assert position.waves(torch.tensor([[999]])).shape == (1, 1, 4)


def test_an_odd_width_is_refused_in_words():
    with pytest.raises(InputError, match=r"model\.width is 5"):
        Sinusoidal(width=5, heads=1, context_length=8)
