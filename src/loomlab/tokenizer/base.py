"""What a tokenizer option is, and what any trained tokenizer can be asked."""

import abc
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from tokenizers import Tokenizer as Backend
from transformers import PreTrainedTokenizerFast

SPECIAL = ("<|endoftext|>", "<|pad|>", "<|mask|>", "<|unk|>")
CUTS = ("model", "normalizer", "pre_tokenizer")  # the parts of a tokenizer that cut text


class Tokenizer(abc.ABC):
    """A way to cut text; settings are the plain attributes of the object."""

    def settings(self) -> dict[str, Any]:
        """What decides the result besides the text: class and settings, ready for JSON."""
        return {"class": f"{type(self).__module__}.{type(self).__qualname__}", **vars(self)}

    @abc.abstractmethod
    def train(self, documents: Iterable[str]) -> PreTrainedTokenizerFast:
        """Learn from documents; the result always has eos, pad, mask and unk tokens."""


class Given(Tokenizer):
    """A tokenizer that is there already, such as the one a run has kept."""

    def __init__(self, trained: PreTrainedTokenizerFast) -> None:
        self.trained = trained

    def settings(self) -> dict[str, Any]:
        """Its content: how it came about does not count."""
        return {"class": type(self).__qualname__, "content": tokenizer_hash(self.trained)}

    def train(self, documents: Iterable[str] = ()) -> PreTrainedTokenizerFast:
        """The tokenizer as it is; documents are not read."""
        return self.trained


def wrap(backend: Backend, **special_tokens: str) -> PreTrainedTokenizerFast:
    """A Transformers tokenizer around a trained backend; decoding leaves spaces untouched."""
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, clean_up_tokenization_spaces=False, **special_tokens
    )


def wrap_bytes(backend: Backend) -> PreTrainedTokenizerFast:
    """As `wrap`, with the special tokens of the byte-level options (eos is bos, as in GPT-2)."""
    eos, pad, mask, unk = SPECIAL
    return wrap(
        backend, bos_token=eos, eos_token=eos, pad_token=pad, mask_token=mask, unk_token=unk
    )


def tokenizer_hash(tokenizer: PreTrainedTokenizerFast) -> str:
    """SHA-256 of the serialized tokenizer and the roles of its special tokens.

    Padding and truncation are call-time state of the backend and do not count.
    """
    serialized = json.loads(tokenizer.backend_tokenizer.to_str())
    serialized.update(padding=None, truncation=None)
    roles = {
        name: getattr(tokenizer, f"{name}_token_id")
        for name in ("bos", "eos", "pad", "mask", "unk")
    }
    text = json.dumps([serialized, roles], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def cutting(tokenizer: Backend) -> dict[str, Any]:
    """How a tokenizer cuts text into which ids; what is put around a text does not count."""
    told = json.loads(tokenizer.to_str())
    added = {token["id"]: token["content"] for token in told["added_tokens"]}
    return {"added": added, **{part: told[part] for part in CUTS}}


def reads_as(ours: PreTrainedTokenizerFast, theirs: PreTrainedTokenizerFast) -> bool:
    """Whether weights trained with `theirs` know every id that `ours` cuts a text into.

    By the content of the tokenizers: neither their names nor the sizes of their vocabularies tell.
    Roles of special tokens and further special tokens of ours do not matter.
    """
    one, other = cutting(ours.backend_tokenizer), cutting(theirs.backend_tokenizer)
    same = all(one[part] == other[part] for part in CUTS)
    return same and other["added"].items() <= one["added"].items()


def word_starts(tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """Which vocabulary entries begin a new word, (V,) bool: the units of whole-word masking.

    WordPiece: those without the "##" prefix. Byte-level: those that begin with anything but a
    letter, digit, underscore or part of a longer character, so that a word carries the space or
    sign before it. SentencePiece: those that begin with its space mark or a line end. Special
    tokens always do.
    """
    decoder = json.loads(tokenizer.backend_tokenizer.to_str())["decoder"] or {}
    rule = _RULES.get(decoder_type(decoder), _byte_level_start)
    starts = np.ones(len(tokenizer), dtype=bool)
    special = set(tokenizer.all_special_ids)
    for token, index in tokenizer.get_vocab().items():
        starts[index] = index in special or rule(token)
    return starts


def decoder_type(decoder: dict[str, Any]) -> str:
    """Which of the three ways to spell words a decoder undoes: bytes, if it names none."""
    types = [decoder.get("type"), *(d.get("type") for d in decoder.get("decoders", []))]
    return next((kind for kind in types if kind in _RULES), "ByteLevel")


def byte_characters() -> list[str]:
    """The printable character by which byte-level vocabularies write each of the 256 bytes.

    Printable Latin-1 stands for itself, the others are moved above 255 in order (GPT-2).
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    moved = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(moved)) for byte in range(256)]


_BYTE_OF = {character: byte for byte, character in enumerate(byte_characters())}


def _byte_level_start(token: str) -> bool:
    first = _BYTE_OF.get(token[:1], 0)
    return first < 128 and not (chr(first).isalnum() or chr(first) == "_")


_RULES: dict[str, Callable[[str], bool]] = {
    "ByteLevel": _byte_level_start,
    "WordPiece": lambda token: not token.startswith("##"),
    "Metaspace": lambda token: token.startswith(("\u2581", "\n")),
}
