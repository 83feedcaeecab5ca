"""Bytes of tokens: those of a text sum to its size, exactly where nothing of it is changed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import DATA

from loomlab.tokenizer import token_bytes as module
from loomlab.tokenizer.base import Tokenizer
from loomlab.tokenizer.byte import Byte
from loomlab.tokenizer.byte_bpe import ByteBPE
from loomlab.tokenizer.token_bytes import count_tokens, scaled, token_bytes
from loomlab.tokenizer.unigram import Unigram
from loomlab.tokenizer.wordpiece import WordPiece

KINDS: dict[str, tuple[Callable[[], Tokenizer], float]] = {
    "byte": (Byte, 0.0),
    "byte_bpe": (lambda: ByteBPE(400), 0.0),
    "unigram": (lambda: Unigram(400), 0.01),
    "wordpiece": (lambda: WordPiece(400), 0.05),  # what stands between words is lost
}


@pytest.fixture(scope="module")
def paragraphs() -> list[str]:
    text = Path(DATA / "alice.txt").read_text(encoding="utf-8")
    return [*text.split("\n\n")[:40], "caf\u00e9 \u2014 \u4e2d\u6587 \U0001f642"]


@pytest.mark.parametrize(("make", "off"), KINDS.values(), ids=KINDS)
def test_tokens_of_a_text_sum_to_its_size(
    make: Callable[[], Tokenizer], off: float, paragraphs: list[str]
):
    tokenizer = make().train(paragraphs)
    table = token_bytes(tokenizer)
    cut = [tokenizer(p, add_special_tokens=False).input_ids for p in paragraphs]
    sizes = [len(p.encode()) for p in paragraphs]
    told = np.array([table[np.array(ids, int)].sum() for ids in cut])
    assert told.sum() == pytest.approx(sum(sizes), rel=off, abs=0)
    if not off:
        assert told.tolist() == sizes
    tokens = np.array([i for ids in cut for i in (*ids, tokenizer.eos_token_id)])
    exact = scaled(table, count_tokens(tokens, len(tokenizer)), sum(sizes))
    assert exact[tokens].sum() == pytest.approx(sum(sizes), rel=1e-12)
    assert not exact[tokenizer.all_special_ids].any()


def test_counts_are_those_of_all_pieces(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "AT_A_TIME", 4)
    tokens = np.array([1, 1, 0, 3, 1, 5, 5, 1, 0], dtype=np.uint16)
    assert count_tokens(tokens, 7).tolist() == [2, 4, 0, 1, 0, 2, 0]


def test_a_text_without_bytes_is_left_alone():
    assert scaled(np.zeros(3), np.array([1, 2, 3]), 0).tolist() == [0, 0, 0]
