"""Where the tokens of words begin, and a file of it beside the token file."""

# Shapes: W words of a row, N words of all of them.

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from loomlab.text.cache import build_once
from loomlab.text.encode import encoded, plain_backend
from loomlab.text.prepare import SPLITS, content_key
from loomlab.text.token_file import file_sha256

SCHEMA_VERSION = 1
AT_ONCE = 1024  # rows
NOWHERE = -1  # a word that no token begins
STARTS, MANIFEST = "{}.bin", "words.json"


def first_tokens(words: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[int]:
    """The first token of each word, as its number in the row; -1 where a word has none.

    words: joined by a space they are the text whose tokens have `spans`, in characters. The first
    token of a word is the first that holds a part of it and is not that of the word before.
    """
    found, token, begin = [], 0, 0
    for word in words:
        end = begin + len(word)
        while token < len(spans) and spans[token][1] <= begin:
            token += 1
        if word and token < len(spans) and spans[token][0] < end:
            found.append(token)
            token += 1
        else:
            found.append(NOWHERE)
        begin = end + 1
    return found


def word_tokens(
    rows: Iterable[Sequence[str]], tokenizer: PreTrainedTokenizerFast
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Ids (n,) of each row of words as of the text they make, and first tokens (W,) of its words.

    Raises InputError when the tokenizer has no token for some text.
    """
    backend = plain_backend(tokenizer)
    waiting = iter(rows)
    while chunk := list(itertools.islice(waiting, AT_ONCE)):
        encodings = encoded(backend.encode_batch, [" ".join(words) for words in chunk])
        for words, encoding in zip(chunk, encodings, strict=True):
            starts = first_tokens(words, encoding.offsets)
            yield np.asarray(encoding.ids, np.int64), np.asarray(starts, np.int32)


def cached_word_starts(
    cache_dir: Path,
    fingerprint: str,
    words: Callable[[str], Iterator[list[str]]],
    tokenizer: PreTrainedTokenizerFast,
    tokenizer_hash: str,
) -> dict[str, np.ndarray]:
    """Of "train" and "validation", the first token of each word (N,) int32, rows on end.

    Written first if need be. Blank rows are dropped, as their tokens are.
    """

    def build(folder: Path) -> None:
        sums = {}
        for split in SPLITS:
            solid = (row for row in words(split) if " ".join(row).strip())
            starts = [starts for _, starts in word_tokens(solid, tokenizer)]
            file = folder / STARTS.format(split)
            file.write_bytes(np.concatenate([*starts, np.empty(0)]).astype("<i4").tobytes())
            sums[split] = file_sha256(file)
        (folder / MANIFEST).write_text(json.dumps(sums) + "\n", encoding="utf-8")

    def problem(folder: Path) -> str | None:
        try:
            told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            found = {split: file_sha256(folder / STARTS.format(split)) for split in SPLITS}
        except (OSError, ValueError) as error:
            return f"{folder.name}: first tokens of words unreadable ({error})"
        return None if told == found else f"{folder.name}: checksum of first tokens differs"

    key = content_key(fingerprint, tokenizer_hash, "words", SCHEMA_VERSION)
    folder = build_once(cache_dir / "words" / key, build, problem)
    return {split: np.fromfile(folder / STARTS.format(split), dtype="<i4") for split in SPLITS}
