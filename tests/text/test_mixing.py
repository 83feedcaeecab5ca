"""Rows of several texts: shares, places and what each epoch draws."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from loomlab.text.mixing import JoinedRows, MixedRows, shares, slots
from loomlab.text.order import SampleStream
from loomlab.text.packing import PackedWindows
from loomlab.text.token_file import TokenFile, write_token_file

LENGTH = 4


@pytest.fixture
def parts(tmp_path: Path) -> list[PackedWindows]:
    """Texts of 30, 6 and 100 windows; token n of text k is 1000 k + n."""

    def windows(number: int, count: int) -> PackedWindows:
        folder = tmp_path / str(number)
        folder.mkdir()
        ids = np.arange(count * LENGTH) + 1000 * number
        write_token_file(folder, [(ids, 1, 0)], vocab_size=5000, eos_id=0, tokenizer_hash="")
        return PackedWindows(TokenFile(folder), LENGTH, document_mask=True)

    return [windows(number, count) for number, count in enumerate((30, 6, 100))]


def test_shares_by_size():
    assert shares([300, 100], 1.0) == pytest.approx([0.75, 0.25])
    assert shares([300, 100], math.inf) == pytest.approx([0.5, 0.5])
    root = math.sqrt(3)
    assert shares([300, 100], 2.0) == pytest.approx([root / (1 + root), 1 / (1 + root)])


@pytest.mark.parametrize(
    ("rows", "weights", "given"),
    [(8, [3, 1], [6, 2]), (10, [1, 1, 1], [4, 3, 3]), (5, [1000, 1], [4, 1]),
     (7, [0.2, 0.5], [2, 5]), (2, [1, 1, 1], [1, 1, 1])],
)  # fmt: skip
def test_slots_by_hand(rows: int, weights: list[float], given: list[int]):
    assert slots(rows, weights) == given


def test_joined_rows_are_those_of_the_texts_in_the_order_asked_for(parts: list[PackedWindows]):
    rows = JoinedRows(parts)
    assert len(rows) == 136
    asked = [(36, 0), (0, 2), (135, 1), (29, 0), (30, 0)]
    samples = rows.__getitems__(asked)
    first = [2000, 0, 2000 + 99 * LENGTH, 29 * LENGTH, 1000]
    assert samples.tokens_BU[:, 0].tolist() == first
    assert samples.tokens_BU[:4, 1].tolist() == [token + 1 for token in first[:4]]
    assert list(zip(samples.index_B.tolist(), samples.epoch_B.tolist(), strict=True)) == asked
    assert samples.document_BU is not None
    assert samples.document_BU[:, :LENGTH].eq(0).all()
    assert rows[(30, 0)].tokens_BU.tolist() == samples.tokens_BU[4:].tolist()


def drawn(rows: MixedRows, numbers: range) -> list[tuple[int, int]]:
    """(text, window) of the samples of these numbers in the stream of a seed."""
    stream = iter(SampleStream(len(rows), 1, 5, start=lambda: numbers.start))
    found = []
    for _ in numbers:
        token = int(rows.__getitems__(next(stream)).tokens_BU[0, 0])
        found.append((token // 1000, token % 1000 // LENGTH))
    return found


def test_realised_shares(parts: list[PackedWindows]):
    weights = [3, 1, 2]
    rows = MixedRows(parts, slots(136, weights), seed=5)
    counts = Counter(part for part, _ in drawn(rows, range(10_000)))
    for part, weight in enumerate(weights):
        assert counts[part] / 10_000 == pytest.approx(weight / 6, abs=0.02 * weight / 6)


def test_each_window_of_a_text_comes_before_any_comes_again(parts: list[PackedWindows]):
    rows = MixedRows(parts, slots(136, [1, 1, 1]), seed=5)
    found = drawn(rows, range(136 * 5))
    for part, windows in enumerate(parts):
        counts = Counter(window for text, window in found if text == part)
        assert set(counts) == set(range(len(windows)))
        assert max(counts.values()) - min(counts.values()) <= 1


def test_a_draw_depends_on_seed_epoch_and_row_alone(parts: list[PackedWindows]):
    given = slots(136, [3, 1, 2])
    whole = drawn(MixedRows(parts, given, seed=5), range(400))
    assert drawn(MixedRows(parts, given, seed=5), range(250, 400)) == whole[250:]
    assert drawn(MixedRows(parts, given, seed=6), range(400)) != whole
    rounds = [[w for t, w in whole[136 * e :][:136] if t == 0] for e in (0, 1)]
    assert rounds[0] != rounds[1], "another order each time"
