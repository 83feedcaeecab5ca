"""From documents to an opened cache: the tokenizer and the token files of both splits."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from loomlab.errors import InputError
from loomlab.text.cache import build_once
from loomlab.text.encode import tokenize_to
from loomlab.text.identity import content_key
from loomlab.text.token_file import SCHEMA_VERSION, TokenFile, token_file_problem

SPLITS = ("train", "validation")
log = logging.getLogger("loomlab.text")


def cached_tokenizer(
    cache_dir: Path, key: str, train: Callable[[], PreTrainedTokenizerFast]
) -> PreTrainedTokenizerFast:
    """The tokenizer saved under `key`, trained first if there is none."""

    def build(folder: Path) -> None:
        started = time.monotonic()
        trained = train()
        trained.save_pretrained(folder)
        seconds = time.monotonic() - started
        log.info("tokenizer of %s entries made in %.1f s", f"{len(trained):,}", seconds)

    def problem(folder: Path) -> str | None:
        try:
            json.loads((folder / "tokenizer.json").read_text())
        except (OSError, ValueError) as error:
            return f"tokenizer.json unreadable ({error})"
        return None

    return PreTrainedTokenizerFast.from_pretrained(
        build_once(cache_dir / "tokenizers" / key, build, problem)
    )


def use_more(documents: int, size: int) -> str:
    """What to do when none of so many documents, of `size` bytes, was held out."""
    if documents < 2:
        return "one document cannot be both trained on and held out: use more text"
    return f"use more text, or set corpus.validation_every={documents} or less"


def cached_token_files(
    cache_dir: Path,
    fingerprint: str,
    documents: Callable[[str], Iterator[str]],
    tokenizer: PreTrainedTokenizerFast,
    tokenizer_hash: str,
    checksums: bool = True,
    advice: Callable[[int, int], str] = use_more,
) -> tuple[TokenFile, TokenFile]:
    """The token files (train, validation) of these documents, written first if need be.

    Damaged ones are written again; `checksums=False` looks at sizes only.
    advice: see `use_more`.
    Raises InputError when a split has no document.
    """

    def build(folder: Path) -> None:
        train, validation = (
            tokenize_to(folder / split, documents(split), tokenizer, tokenizer_hash)
            for split in SPLITS
        )
        if not train.documents:
            raise InputError("the train part of the corpus has 0 documents: use more text")
        if not validation.documents:
            known = f"{train.documents:,} {'is' if train.documents == 1 else 'are'} for training"
            raise InputError(
                f"the validation part of the corpus has 0 documents ({known}): "
                f"{advice(train.documents, train.bytes)}"
            )

    def problem(folder: Path) -> str | None:
        faults = (token_file_problem(folder / s, tokenizer_hash, checksums) for s in SPLITS)
        return next((fault for fault in faults if fault), None)

    key = content_key(fingerprint, tokenizer_hash, SCHEMA_VERSION)
    folder = build_once(cache_dir / "tokens" / key, build, problem)
    train, validation = (TokenFile(folder / split) for split in SPLITS)
    return train, validation
