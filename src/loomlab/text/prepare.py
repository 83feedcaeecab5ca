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


def cached_token_files(
    cache_dir: Path,
    fingerprint: str,
    documents: Callable[[str], Iterator[str]],
    tokenizer: PreTrainedTokenizerFast,
    tokenizer_hash: str,
    checksums: bool = True,
) -> tuple[TokenFile, TokenFile]:
    """The token files (train, validation) of these documents, written first if need be.

    Damaged ones are written again; `checksums=False` looks at sizes only.
    Raises InputError when a split has no document.
    """

    def build(folder: Path) -> None:
        known = ""
        for split in SPLITS:
            manifest = tokenize_to(folder / split, documents(split), tokenizer, tokenizer_hash)
            if manifest.documents == 0:
                raise InputError(
                    f"the {split} part of the corpus has 0 documents{known}: use more text, or "
                    "hold out more often with a smaller corpus.validation_every"
                )
            known = f" ({manifest.documents} are for {split}ing)"

    def problem(folder: Path) -> str | None:
        faults = (token_file_problem(folder / s, tokenizer_hash, checksums) for s in SPLITS)
        return next((fault for fault in faults if fault), None)

    key = content_key(fingerprint, tokenizer_hash, SCHEMA_VERSION)
    folder = build_once(cache_dir / "tokens" / key, build, problem)
    train, validation = (TokenFile(folder / split) for split in SPLITS)
    return train, validation
