"""Rows: framed, cut, padded to the longest of a batch, and the same where they are read again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from loomlab.text.class_labels import RowLabels
from loomlab.text.encode import tokenize_to
from loomlab.text.label_file import LabelFile, write_label_file
from loomlab.text.rows import Frame, LabelledRows, framing_tokenizer
from loomlab.text.token_file import TokenFile
from loomlab.tokenizer.base import Tokenizer
from loomlab.tokenizer.byte import Byte
from loomlab.tokenizer.wordpiece import WordPiece

TEXTS = ["abc", "a", "a longer one", "two words"]


def dataset(folder: Path, option: Tokenizer, length: int, **settings: int) -> LabelledRows:
    tokenizer = option.train(TEXTS)
    tokenize_to(folder / "t", TEXTS, tokenizer, "hash")
    labels = [RowLabels((name,), "x.csv, line 2") for name in ("b", "a", "b", "a")]
    write_label_file(folder / "t", labels, ["a", "b"])
    frame = Frame.of(tokenizer, length)
    return LabelledRows(TokenFile(folder / "t"), LabelFile(folder / "t"), frame, **settings)


def test_rows_of_a_decoder_end_in_eos(tmp_path: Path):
    rows = dataset(tmp_path, Byte(), length=8)
    batch = rows.__getitems__([(0, 0), (1, 0), (2, 5)])
    eos, pad = rows.frame.after, rows.frame.pad
    longest = [*b"a longe", eos]
    assert batch.tokens_BT.tolist() == [
        [*b"abc", eos, pad, pad, pad, pad], [*b"a", eos, *[pad] * 6], longest
    ]  # fmt: skip
    assert batch.mask_BT.sum(1).tolist() == [4, 2, 8]
    assert (batch.mask_BT == (batch.tokens_BT != pad)).all()
    assert batch.labels_BC.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert batch.index_B.tolist() == [0, 1, 2]
    assert batch.epoch_B.tolist() == [0, 0, 5]
    assert rows.lengths.tolist() == [4, 2, 8, 8]
    assert rows.cut == 2
    assert (len(rows), len(batch)) == (4, 3)
    assert dataset(tmp_path, Byte(), length=10).cut == 1, "nine letters and eos just fit"


def test_padding_goes_to_the_longest_of_the_batch_only(tmp_path: Path):
    rows = dataset(tmp_path, Byte(), length=64)
    assert rows.__getitems__([(0, 0), (1, 0)]).tokens_BT.shape == (2, 4)
    assert rows[(1, 0)].tokens_BT.shape == (1, 2)
    assert rows.cut == 0
    assert rows.typical() == 3, "10 tokens, where the mean is 7.25"


def test_rows_of_wordpiece_stand_between_cls_and_sep(tmp_path: Path):
    rows = dataset(tmp_path, WordPiece(vocab_size=100), length=5)
    tokenizer = WordPiece(vocab_size=100).train(TEXTS)
    words = tokenizer.convert_ids_to_tokens(rows.row(2))
    assert words[0] == "[CLS]"
    assert words[-1] == "[SEP]"
    assert len(words) == 5
    assert "[CLS]" not in words[1:]
    assert "[SEP]" not in words[:-1]


@pytest.mark.parametrize("option", [Byte(), WordPiece(vocab_size=100)], ids=["byte", "wordpiece"])
def test_the_exported_tokenizer_frames_alike(tmp_path: Path, option: Tokenizer):
    rows = dataset(tmp_path, option, length=6)
    tokenizer = option.train(TEXTS)
    before = tokenizer(TEXTS[0]).input_ids
    framing_tokenizer(tokenizer, 6).save_pretrained(tmp_path / "saved")
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path / "saved")
    batch = loaded(TEXTS, truncation=True, padding=True, return_tensors="pt")
    ours = rows.__getitems__([(n, 0) for n in range(4)])
    assert torch.equal(batch.input_ids, ours.tokens_BT)
    assert torch.equal(batch.attention_mask, ours.mask_BT)
    assert tokenizer(TEXTS[0]).input_ids == before, "the tokenizer itself is as it was"


def test_only_the_first_rows_are_used(tmp_path: Path):
    rows = dataset(tmp_path, Byte(), length=64, max_samples=2)
    assert len(rows) == 2
    assert rows.lengths.tolist() == [4, 2]


def test_an_empty_text_is_a_row_of_special_tokens():
    frame = Frame((1,), 2, 0, 8)
    assert frame.ids(np.empty(0, dtype=np.int64)).tolist() == [1, 2]
