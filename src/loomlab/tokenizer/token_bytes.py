"""How much of a text each token stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import numpy as np
from transformers import PreTrainedTokenizerFast

from loomlab.tokenizer.base import decoder_type

BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # a byte that has no token of its own, as Llama spells it
AT_A_TIME = 1 << 20  # tokens that are counted at once


def token_bytes(tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """UTF-8 bytes that each token stands for, (V,) float64.

    Byte-level: its characters. WordPiece: what it spells, and the space before a word.
    SentencePiece: what it spells with the space that its mark stands for, 1 for a single byte. 0
    for special tokens. Where a tokenizer changes text (lower case, several spaces made one) this
    is near the truth alone: `scaled` makes the sum over a text exact.
    """
    decoder = json.loads(tokenizer.backend_tokenizer.to_str())["decoder"] or {}
    rule = _RULES[decoder_type(decoder)]
    sizes = np.zeros(len(tokenizer))
    special = set(tokenizer.all_special_ids)
    for token, index in tokenizer.get_vocab().items():
        sizes[index] = 0 if index in special else rule(token)
    return sizes


def count_tokens(tokens: np.ndarray, size: int) -> np.ndarray:
    """How often each of `size` tokens is in tokens (N,): (V,) int64."""
    counts = np.zeros(size, dtype=np.int64)
    for piece in _pieces(tokens):
        counts += np.bincount(piece, minlength=size)
    return counts


def _pieces(tokens: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(tokens), AT_A_TIME):
        yield tokens[start : start + AT_A_TIME]


def scaled(bytes_V: np.ndarray, counts_V: np.ndarray, size: int) -> np.ndarray:
    """The bytes of tokens, scaled so that those of a text sum to its `size`.

    A text of special and unknown tokens alone has nothing that could be scaled.
    """
    told = float(counts_V @ bytes_V)
    return bytes_V * (size / told) if told else bytes_V


def _word_piece(token: str) -> int:
    return len(token.removeprefix("##").encode()) + (not token.startswith("##"))


def _sentence_piece(token: str) -> int:
    return 1 if BYTE.fullmatch(token) else len(token.replace("\u2581", " ").encode())


_RULES: dict[str, Callable[[str], int]] = {
    "ByteLevel": len,
    "WordPiece": _word_piece,
    "Metaspace": _sentence_piece,
}
