"""The fixed share that is masked, as a pure function of (seed, epoch, sample)."""

import numpy as np
import pytest

from loomlab.text.masking import Masker

VOCAB, MASK, SPECIALS = 50, 3, (0, 1, 2, 3)


def masker(seed: int = 1, **changed: object) -> Masker:
    settings = {
        "rate": 0.15, "to_mask": 0.8, "to_random": 0.1, "mask_id": MASK,
        "special_ids": SPECIALS, "vocab_size": VOCAB, "seed": seed,
    }  # fmt: skip
    return Masker(**{**settings, **changed})


def rows(count: int = 64, width: int = 40, low: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(low, VOCAB, (count, width))


def per_row(index: np.ndarray, count: int, width: int) -> list[int]:
    return np.bincount(index // width, minlength=count).tolist()


@pytest.mark.parametrize(("rate", "expected"), [(0.15, 6), (0.5, 20), (0.001, 1), (0.99, 40)])
def test_every_row_masks_the_same_exact_count(rate: float, expected: int):
    tokens = rows()
    _, index = masker(rate=rate)(tokens, range(64), [0] * 64)
    assert per_row(index, 64, 40) == [expected] * 64
    assert len(set(index.tolist())) == len(index), "no position twice"


def test_count_does_not_depend_on_the_specials_of_a_row():
    """Else micro-batches of unequal counts would not average to the whole batch."""
    tokens = rows()
    tokens[::2, :6] = 0
    _, index = masker()(tokens, range(64), [0] * 64)
    assert per_row(index, 64, 40) == [6] * 64


def test_specials_are_never_chosen_and_never_drawn():
    tokens = rows(400, low=0)
    inputs, index = masker(to_mask=0.0, to_random=1.0)(tokens, range(400), [0] * 400)
    assert not np.isin(tokens.ravel()[index], SPECIALS).any()
    assert not np.isin(inputs.ravel()[index], SPECIALS).any()


def test_rows_of_specials_and_short_rows():
    nothing = np.zeros((1, 8), dtype=np.int64)
    inputs, index = masker()(nothing, [0], [0])
    assert len(index) == 0
    assert (inputs == nothing).all()
    nothing[0, 5] = 9
    _, index = masker(rate=0.9)(nothing, [0], [0])
    assert index.tolist() == [5], "at most what there is"
    inputs, index = masker(word_starts=STARTS)(np.zeros((1, 8), dtype=np.int64), [0], [0])
    assert (inputs.tolist(), index.tolist()) == ([[0] * 8], []), "nor is there a word"


def test_eighty_ten_ten():
    tokens = rows(3000)
    inputs, index = masker()(tokens, range(3000), [0] * 3000)
    before, after = tokens.ravel()[index], inputs.ravel()[index]
    masked, kept = (after == MASK).mean(), (after == before).mean()
    changed = ((after != MASK) & (after != before)).mean()
    # 18,000 draws: three standard deviations of a share of 0.8 are 0.009
    assert masked == pytest.approx(0.8, abs=0.01)
    assert kept == pytest.approx(0.1 + 0.1 / 46, abs=0.01)
    assert changed == pytest.approx(0.1 * 45 / 46, abs=0.01)


def test_random_tokens_are_uniform_over_ordinary_ids():
    tokens = rows(3000)
    inputs, index = masker(to_mask=0.0, to_random=1.0)(tokens, range(3000), [0] * 3000)
    counts = np.bincount(inputs.ravel()[index], minlength=VOCAB)[4:]
    assert counts.min() > 0.75 * counts.mean()
    assert counts.max() < 1.25 * counts.mean()


def test_unchosen_tokens_and_the_argument_stay_as_they_are():
    tokens = rows()
    original = tokens.copy()
    inputs, index = masker()(tokens, range(64), [0] * 64)
    assert (tokens == original).all()
    rest = np.delete(np.arange(tokens.size), index)
    assert (inputs.ravel()[rest] == original.ravel()[rest]).all()


def masked_alone(tokens: np.ndarray, sample: int, epoch: int, seed: int) -> list[int]:
    inputs, index = masker(seed)(tokens[None], [sample], [epoch])
    return [*index.tolist(), *inputs.ravel().tolist()]


def test_masks_depend_on_seed_epoch_and_sample_alone():
    tokens = rows()
    inputs, index = masker()(tokens, range(64), [7] * 64)
    for place in (63, 5, 0, 31):  # any order, any batch: the same masks
        alone = masked_alone(tokens[place], place, 7, 1)
        own = index[index // 40 == place] - 40 * place
        assert alone == [*own.tolist(), *inputs[place].tolist()]
    one = tokens[0]
    keys = [(0, 0, 1), (0, 1, 1), (1, 0, 1), (0, 0, 2), (1, 1, 1), (2, 0, 1)]
    assert len({tuple(masked_alone(one, *key)) for key in keys}) == len(keys)


def test_global_random_state_is_neither_read_nor_moved():
    tokens = rows()
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()
    first = masker()(tokens, range(64), [0] * 64)[1]
    assert np.random.get_state()[1].tolist() == before
    np.random.seed(2)
    assert (masker()(tokens, range(64), [0] * 64)[1] == first).all()


STARTS = np.arange(VOCAB) % 3 != 0  # ids that are multiples of three go on a word


def words(row: np.ndarray) -> list[list[int]]:
    """Positions of each word; a special token ends one and belongs to none."""
    found: list[list[int]] = []
    fresh = True
    for position, token in enumerate(row.tolist()):
        if token in SPECIALS:
            fresh = True
        elif fresh or STARTS[token]:
            found.append([position])
            fresh = False
        else:
            found[-1].append(position)
    return found


def test_whole_words_stay_whole():
    tokens = rows(200, low=0)
    _, index = masker(word_starts=STARTS)(tokens, range(200), [0] * 200)
    for number, row in enumerate(tokens):
        chosen = set((index[index // 40 == number] - 40 * number).tolist())
        parts = [set(word) for word in words(row)]
        assert all(word <= chosen or not word & chosen for word in parts)
        assert 1 <= len(chosen) <= 6
    assert per_row(index, 200, 40).count(6) > 180, "nearly all rows reach the count"


def test_one_long_word_is_masked_though_it_exceeds_the_count():
    tokens = np.full((1, 10), 6)
    _, index = masker(word_starts=STARTS)(tokens, [0], [0])
    assert index.tolist() == list(range(10))


def test_large_seeds_and_samples():
    tokens = rows(1)
    _, index = masker(seed=2**32 - 1)(tokens, [2**40], [10**6])
    assert len(index) == 6
