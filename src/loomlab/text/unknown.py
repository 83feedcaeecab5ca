"""Text that a tokenizer has no token for, and so does not carry."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tokenizers import pre_tokenizers

OF_ROWS = ("labels", "numbers")  # kinds of a run's numbers that are no likelihoods of text
MOST = 0.01  # share of the held-out bytes up to which bits per byte still mean what they say
AFFIXES = ("continuing_subword_prefix", "end_of_word_suffix")
BYTEWISE = pre_tokenizers.ByteLevel(add_prefix_space=False)


def too_much(share: float) -> bool:
    """Whether so much of a text is unknown that its bits per byte say nothing.

    An unknown token is easily told however much text it stands for, text that is dropped need not
    be told at all, and all of it is counted.
    """
    return share > MOST


def unread(summary: dict[str, Any]) -> float:
    """The share of the text that a run's likelihoods count and its tokens do not carry.

    0 where it is small, or the run predicts labels or numbers.
    """
    corpus = summary.get("corpus")
    share = corpus.get("unknown_share", 0.0) if isinstance(corpus, dict) else 0.0
    return float(share) if too_much(share) and summary.get("kind") not in OF_ROWS else 0.0


def unknown_token(backend: Any) -> str | None:
    """What a tokenizer of the `tokenizers` library writes where it has no token; None: nothing.

    That of its model counts: which token has the role of an unknown one need not be true of it.
    """
    model = json.loads(backend.to_str())["model"]
    if model.get("unk_id") is not None:
        return str(model["vocab"][model["unk_id"]][0])
    name = model.get("unk_token")
    return str(name) if name and backend.token_to_id(name) is not None else None


def where_unknown(backend: Any) -> str:
    """What becomes of text without a token: what "9 % of the text is" goes on with."""
    token = unknown_token(backend)
    if token is None:
        return "dropped, as no token of the vocabulary can carry it"
    return f"under {token}, which carries none of it"


class Unknown:
    """Counts the bytes of texts that no token carries.

    They are under the unknown token; byte-pair encoding without one drops them. backend: of the
    `tokenizers` library.
    """

    def __init__(self, backend: Any) -> None:
        name = unknown_token(backend)
        self.backend = backend
        self.token = None if name is None else backend.token_to_id(name)
        self.dropped = Dropped(backend) if name is None else None

    def bytes_of(self, text: str, ids: list[int]) -> int:
        """UTF-8 bytes of the text that none of its `ids` carries.

        Where a token stands in its text is found only if there is an unknown one: it costs twice.
        """
        if self.dropped is not None:
            return self.dropped.bytes_of(text)
        if self.token not in ids:
            return 0
        encoding = self.backend.encode(text, add_special_tokens=False)
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        # Each byte of a character may be unknown, and then stands where the character does.
        places = {place for token, span in spans if token == self.token for place in range(*span)}
        return sum(len(text[place].encode()) for place in places)


class Dropped:
    """Counts what byte-pair encoding without an unknown token drops: symbols that are no entry.

    Merges begin with single bytes or characters; one that the vocabulary lacks is left out, and
    the offsets of all behind it are wrong. White space is not counted, which many do not keep.
    Other models fail where they would need an unknown token: they drop nothing.
    """

    def __init__(self, backend: Any) -> None:
        told, vocab = json.loads(backend.to_str()), backend.get_vocab()
        model, self.normalizer = told["model"], backend.normalizer
        start, end = (model.get(name) or "" for name in AFFIXES)
        self.symbols = set(vocab) | {e.removeprefix(start).removesuffix(end) for e in vocab}
        self.spelled = bool(model.get("byte_fallback"))
        self.bytewise = BYTEWISE if '"ByteLevel"' in json.dumps(told["pre_tokenizer"]) else None
        whole = self.bytewise and self.symbols.issuperset(pre_tokenizers.ByteLevel.alphabet())
        self.possible = model["type"] == "BPE" and not whole
        self.lost: dict[str, int] = {}

    def bytes_of(self, text: str) -> int:
        """UTF-8 bytes of the text, as it is normalized, that are dropped."""
        if not self.possible:
            return 0
        read = self.normalizer.normalize_str(text) if self.normalizer else text
        return sum(count * self._lost(letter) for letter, count in Counter(read).items())

    def _lost(self, letter: str) -> int:
        if letter not in self.lost:
            self.lost[letter] = self._count(letter)
        return self.lost[letter]

    def _count(self, letter: str) -> int:
        if letter.isspace() or letter in self.symbols:
            return 0
        if self.bytewise:
            parts = "".join(part for part, _ in self.bytewise.pre_tokenize_str(letter))
            return sum(part not in self.symbols for part in parts)
        spelling = {f"<0x{byte:02X}>" for byte in letter.encode()}
        return 0 if self.spelled and spelling <= self.symbols else len(letter.encode())
