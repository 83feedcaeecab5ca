"""Rows of tagged words: the label at the first token of a word, within frame and length."""

from pathlib import Path

import numpy as np
import pytest

from loomlab.text.class_labels import RowLabels
from loomlab.text.encode import tokenize_to
from loomlab.text.label_file import LabelFile, write_label_file
from loomlab.text.rows import Frame
from loomlab.text.tagged_rows import TaggedRows
from loomlab.text.token_file import TokenFile
from loomlab.text.words import word_tokens
from loomlab.tokenizer.base import Tokenizer
from loomlab.tokenizer.byte import Byte
from loomlab.tokenizer.wordpiece import WordPiece

WORDS = [["ab", "c"], ["d"], ["e", "fg", "h"]]
TAGS = [("A", "B"), ("B",), ("A", "A", "B")]
NO = -100


def dataset(folder: Path, option: Tokenizer, length: int) -> TaggedRows:
    texts = [" ".join(row) for row in WORDS]
    tokenizer = option.train(texts)
    tokenize_to(folder / "t", texts, tokenizer, "hash")
    labels = [RowLabels(row, "x.conll, line 2") for row in TAGS]
    write_label_file(folder / "t", labels, ["A", "B"], of_words=True)
    starts = np.concatenate([starts for _, starts in word_tokens(WORDS, tokenizer)])
    frame = Frame.of(tokenizer, length)
    return TaggedRows(TokenFile(folder / "t"), LabelFile(folder / "t"), frame, starts=starts)


def test_by_hand(tmp_path: Path):
    rows = dataset(tmp_path, Byte(), length=12)
    batch = rows.__getitems__([(0, 0), (1, 0), (2, 5)])
    assert batch.tags_BT.tolist() == [
        [0, NO, NO, 1, NO, NO, NO],  # ab c
        [1, NO, NO, NO, NO, NO, NO],  # d
        [0, NO, 0, NO, NO, 1, NO],  # e fg h
    ]
    assert batch.mask_BT.sum(1).tolist() == [5, 2, 7]
    assert (batch.index_B.tolist(), batch.epoch_B.tolist()) == ([0, 1, 2], [0, 0, 5])
    assert len(batch) == 3
    assert rows.note() == ""


def test_words_behind_the_cut_are_counted_and_not_scored(tmp_path: Path):
    rows = dataset(tmp_path, Byte(), length=4)
    assert [rows.tags(n).tolist() for n in range(3)] == [
        [0, NO, NO, NO], [1, NO], [0, NO, 0, NO]
    ]  # fmt: skip
    assert rows.cut == 2
    assert rows.note() == ", 2 of 6 words lie past that and are not scored"


def test_a_frame_shifts_the_labels(tmp_path: Path):
    rows = dataset(tmp_path, WordPiece(100), length=12)
    found = rows.tags(0)
    assert found[0] == found[-1] == NO, "[CLS] and [SEP]"
    assert found[found != NO].tolist() == [0, 1]
    assert found[1] == 0


@pytest.mark.parametrize("others", [[], [2], [2, 1, 2]])
def test_a_row_is_the_same_in_any_batch(tmp_path: Path, others: list[int]):
    rows = dataset(tmp_path, Byte(), length=12)
    batch = rows.__getitems__([(n, 0) for n in (*others, 0)])
    assert batch.tags_BT[-1][:5].tolist() == [0, NO, NO, 1, NO]
    assert (batch.tags_BT[-1][5:] == NO).all()
