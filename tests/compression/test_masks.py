"""Masks worked out by hand."""

import pytest
import torch
from torch import nn

from loomlab.compression.masks import (
    drop_smallest,
    drop_smallest_of_rows,
    keep_n_of_m,
    n_of_m,
)
from loomlab.errors import InputError

SCORES = torch.tensor([[1.0, 9.0, 3.0, 4.0, 5.0, 6.0, 8.0, 7.0], [8.0, 1, 2, 3, 0, 0, 0, 0]])


def test_two_of_four_by_hand():
    kept = torch.tensor([[0, 1, 0, 1, 0, 0, 1, 1], [1, 0, 0, 1, 0, 0, 1, 1]]).bool()
    assert torch.equal(keep_n_of_m(SCORES, 2, 4), kept)
    assert keep_n_of_m(SCORES, 1, 8).sum(1).tolist() == [1, 1]


def test_the_share_is_exact_also_among_equals():
    assert drop_smallest(torch.ones(10, 10), 0.5).sum() == 50
    assert drop_smallest(torch.ones(3, 3), 0.5).sum() == 9 - round(4.5)
    by_row = drop_smallest_of_rows(SCORES, 0.5)
    assert by_row.tolist()[0] == [False, True, False, False, False, True, True, True]
    assert by_row.sum(1).tolist() == [4, 4]


@pytest.mark.parametrize("pattern", ["2-4", "4:4", "0:4", "x"])
def test_what_is_no_pattern_is_refused(pattern: str):
    with pytest.raises(InputError, match=r"prune_wanda\.pattern.*2:4"):
        n_of_m(pattern, {}, "prune_wanda")


def test_a_layer_the_pattern_does_not_divide_is_named():
    with pytest.raises(InputError, match=r"mlp\.out has 6 inputs"):
        n_of_m("2:4", {"a": nn.Linear(8, 2), "mlp.out": nn.Linear(6, 2)}, "prune_wanda")
