"""First tokens of words, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from loomlab.text.encode import encode_documents
from loomlab.text.words import cached_word_starts, first_tokens, word_tokens
from loomlab.tokenizer.base import Tokenizer
from loomlab.tokenizer.byte import Byte
from loomlab.tokenizer.byte_bpe import ByteBPE
from loomlab.tokenizer.unigram import Unigram
from loomlab.tokenizer.wordpiece import WordPiece

ROWS = [["EU", "rejects", "cafes"], ["a", "b"]]
TEXTS = [" ".join(row) for row in ROWS] * 3


@pytest.mark.parametrize(
    ("words", "spans", "expected"),
    [
        # EU re ##jects . -> a token, two tokens, a token
        (["EU", "rejects", "."], [(0, 2), (3, 5), (5, 10), (11, 12)], [0, 1, 3]),
        # the space in front is of the token, as byte-level BPE has it
        (["a", "bc", "d"], [(0, 1), (1, 3), (3, 4), (4, 6)], [0, 1, 3]),
        # the space is a token of its own
        (["a", "b"], [(0, 1), (1, 2), (2, 3)], [0, 2]),
        # "New" and the beginning of "York" are one token: the word has its next one
        (["New", "York"], [(0, 5), (5, 8)], [0, 1]),
        # nothing is left of a word of its own
        (["New", "York", "x"], [(0, 8), (9, 10)], [0, -1, 1]),
        # a word that the tokenizer drops, one without characters, and one behind the last token
        (["\u200b", "a", "", "b", "c"], [(2, 3), (5, 6)], [-1, 0, -1, 1, -1]),
        # a character of several bytes has several tokens of one span
        (["\u00e9", "a"], [(0, 1), (0, 1), (1, 2), (2, 3)], [0, 3]),
    ],
)
def test_by_hand(words: list[str], spans: list[tuple[int, int]], expected: list[int]):
    assert first_tokens(words, spans) == expected


def test_bytes_begin_where_they_stand():
    (ids, starts), (_, others) = word_tokens(ROWS, Byte().train())
    assert ids.tolist() == list(TEXTS[0].encode())
    assert starts.tolist() == [0, 3, 11]
    assert others.tolist() == [0, 2]


@pytest.mark.parametrize(
    "option",
    [WordPiece(100), ByteBPE(280), Unigram(512)],
    ids=lambda option: type(option).__name__,
)
def test_the_tokens_are_those_of_the_text(option: Tokenizer):
    """And what lies between two first tokens spells the word."""
    tokenizer = option.train(TEXTS)
    found = list(word_tokens(ROWS, tokenizer))
    for (ids, starts), (of_text, *_), row in zip(
        found, encode_documents(TEXTS, tokenizer), ROWS, strict=False
    ):
        assert ids.tolist() == of_text.tolist()
        stops = [*starts[1:].tolist(), len(ids)]
        spelled = [tokenizer.decode(ids[a:b]) for a, b in zip(starts, stops, strict=True)]
        assert [text.strip().lower() for text in spelled] == [w.lower() for w in row]


def test_first_tokens_are_kept_and_mended(tmp_path: Path):
    tokenizer: PreTrainedTokenizerFast = Byte().train()
    asked = []

    def words(split: str):
        asked.append(split)
        return iter([*ROWS, [" ", ""]] if split == "train" else [["x"]])

    def read() -> dict[str, np.ndarray]:
        return cached_word_starts(tmp_path, "print", words, tokenizer, "hash")

    found = read()
    assert found["train"].tolist() == [0, 3, 11, 0, 2], "a blank row has no tokens"
    assert found["validation"].tolist() == [0]
    read()
    assert asked == ["train", "validation"]
    (file,) = tmp_path.rglob("train.bin")
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    assert read()["train"].tolist() == found["train"].tolist()
