"""Order of samples: a pure function of (seed, epoch), the same however it is cut up."""

import itertools

import numpy as np
import pytest
import torch

from loomlab.text.order import BatchesOfParts, SampleStream, SequentialBatches, permutation


def joined(parts):
    return list(itertools.chain.from_iterable(parts))


def take(stream, batches):
    return list(itertools.islice(iter(stream), batches))


def stream(samples, batch_size, start=0, rank=0, world_size=1, seed=3):
    return SampleStream(samples, batch_size, seed, lambda: start, rank, world_size)


def test_permutation_depends_on_its_arguments_alone():
    first = permutation(7, 2, 1000)
    np.random.seed(0)
    torch.manual_seed(0)
    assert (permutation(7, 2, 1000) == first).all()
    assert sorted(first) == list(range(1000))
    assert not (permutation(7, 3, 1000) == first).all()
    assert not (permutation(8, 2, 1000) == first).all()


def test_permutation_is_pinned():
    """Another order would break the resume of every checkpoint written before."""
    assert permutation(0, 0, 10).tolist() == [4, 6, 2, 7, 3, 5, 9, 0, 8, 1]
    assert permutation(1, 2, 10).tolist() == [8, 5, 6, 0, 9, 1, 4, 3, 7, 2]


@pytest.mark.parametrize("batch_size", [1, 5, 7, 50])
def test_each_epoch_has_every_sample_once(batch_size):
    flat = joined(take(stream(50, batch_size), 3 * 50 // batch_size + 1))
    for epoch in range(3):
        ours = [index for index, e in flat if e == epoch]
        assert sorted(ours) == list(range(50))
        assert flat[epoch * 50][1] == epoch


def test_the_stream_is_one_permutation_after_the_other():
    whole = [(i, epoch) for epoch in range(3) for i in permutation(3, epoch, 50).tolist()]
    assert joined(take(stream(50, 7), 21)) == whole[:147]


def test_batches_reach_over_the_end_of_an_epoch():
    second = take(stream(6, 4), 2)[1]
    assert [epoch for _, epoch in second] == [0, 0, 1, 1]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_together_see_what_one_process_sees(world_size):
    whole = take(stream(50, 6), 20)
    parts = [take(stream(50, 6 // world_size, 0, r, world_size), 20) for r in range(world_size)]
    assert [joined(batches) for batches in zip(*parts, strict=True)] == whole


@pytest.mark.parametrize("consumed", [0, 1, 13, 49, 50, 51, 333])
def test_starts_at_any_sample(consumed):
    flat = joined(take(stream(50, 1), 400))
    assert joined(take(stream(50, 4, consumed), 10)) == flat[consumed : consumed + 40]


def test_a_thinned_validation_is_spread_over_the_text_and_always_the_same():
    batches = SequentialBatches(100, 5)
    batches.thin(4)
    assert [batch[0][0] for batch in batches] == [0, 25, 50, 75]
    for count in (None, 20, 21):
        all_of_them = SequentialBatches(100, 5)
        all_of_them.thin(count)
        assert len(all_of_them) == 20
    ranks = [SequentialBatches(33, 2, rank, 2) for rank in range(2)]
    for rank in ranks:
        rank.thin(3)
    assert [len(rank) for rank in ranks] == [3, 3]


@pytest.mark.parametrize(
    ("samples", "world_size"),
    [(1, 1), *itertools.product([2, 9, 16, 17, 33], [1, 2])],
)
@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_validation_covers_all_with_equal_batch_counts(samples, world_size, batch_size):
    ranks = [SequentialBatches(samples, batch_size, r, world_size) for r in range(world_size)]
    seen = [index for rank in ranks for batch in rank for index, _ in batch]
    assert sorted(seen) == list(range(samples))
    assert len({len(rank) for rank in ranks}) == 1
    assert max(len(batch) for rank in ranks for batch in rank) <= max(batch_size, 2)
    assert len(ranks[0]) <= -(-samples // (batch_size * world_size)), "no more than it takes"
    assert {epoch for rank in ranks for batch in rank for _, epoch in batch} == {0}
    if world_size == 1:
        assert seen == list(range(samples))
        assert max(len(batch) for batch in ranks[0]) <= batch_size


def test_batches_of_parts_hold_one_each_and_all_of_them():
    ranks = [BatchesOfParts([10, 3, 7], 4, rank, 2) for rank in (0, 1)]
    assert ranks[0].parts == ranks[1].parts == [0, 1, 2, 0]
    starts = {0: range(10), 1: range(10, 13), 2: range(13, 20)}
    for batches in ranks:
        for part, batch in zip(batches.parts, batches, strict=True):
            assert {index for index, _ in batch} <= set(starts[part])
    assert sorted(index for batches in ranks for index, _ in joined(batches)) == list(range(20))
    ranks[0].thin(2)
    assert ranks[0].parts == [0, 2]
    assert len(ranks[0]) == 2
