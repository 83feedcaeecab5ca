"""What is cut up and put together again is what it was."""

import pytest
import torch

from loomlab.parallelism.split import Cut


@pytest.mark.parametrize("cut", [Cut(0), Cut(1), Cut(0, 3), Cut(0, 2)], ids=str)
def test_parts_join_to_the_whole(cut: Cut):
    whole = torch.randn(12, 8)
    parts = [cut.part(whole, rank, 2) for rank in range(2)]
    assert sum(part.numel() for part in parts) == whole.numel()
    assert torch.equal(cut.joined(parts), whole)


def test_parts_may_be_of_unequal_length():
    whole = torch.arange(7)
    parts = [Cut(0, length=7).part(whole, rank, 3) for rank in range(3)]
    assert [part.tolist() for part in parts] == [[0, 1, 2], [3, 4], [5, 6]]


def test_each_process_gets_the_rows_of_its_heads():
    """Six rows of queries, keys and values of two heads, named 10 and 11, 20 and 21, ..."""
    rows = torch.tensor([10, 11, 20, 21, 30, 31])
    assert Cut(0, 3).part(rows, 0, 2).tolist() == [10, 20, 30]
    assert Cut(0, 3).part(rows, 1, 2).tolist() == [11, 21, 31]
