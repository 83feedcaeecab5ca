"""Documents -> token ids, in chunks through the multi-threaded Rust encoder."""

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from loomlab.errors import InputError
from loomlab.text.token_file import Manifest, token_dtype, write_token_file
from loomlab.text.unknown import Unknown

CHUNK_BYTES = 1 << 18  # the encoder takes more than 100 bytes of memory per token
log = logging.getLogger("loomlab.text")


def encode_documents(
    documents: Iterable[str], tokenizer: PreTrainedTokenizerFast
) -> Iterator[tuple[np.ndarray, int, int]]:
    """Yield ids (n,) without eos, UTF-8 bytes, and how many of them no token carries.

    About 256 kB of text are held at a time.

    A document that spells a special token ("<|endoftext|>") is encoded as plain characters: text
    must not be able to end a document.

    Raises:
        InputError: the tokenizer has no token for some text, and none for what is unknown.
    """
    backend = plain_backend(tokenizer)
    unknown = Unknown(backend)
    dtype = token_dtype(len(tokenizer))
    for chunk, sizes in _chunks(documents):
        encodings = encoded(backend.encode_batch_fast, chunk)
        for text, encoding, size in zip(chunk, encodings, sizes, strict=True):
            ids = encoding.ids
            yield np.asarray(ids, dtype=dtype), size, unknown.bytes_of(text, ids)


def plain_backend(tokenizer: PreTrainedTokenizerFast) -> Tokenizer:
    """A copy of the encoder that reads text as plain characters, whole and as it is."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    return backend


def encoded(encode: Callable[..., list[Any]], chunk: list[str]) -> list[Any]:
    """What an encoder makes of texts; InputError when it has no token for some of them."""
    try:
        encodings = encode(chunk, add_special_tokens=False)
    except Exception as error:  # the library has no class for it
        if not any(word in str(error) for word in ("[UNK]", "unk_id", "Unk token")):
            raise
        raise InputError(
            "tokenizer: it has neither a token for all of the text nor an unknown token for the "
            f"rest ({error}): use tokenizer=byte_bpe, which knows every text"
        ) from error
    return encodings


def _chunks(documents: Iterable[str]) -> Iterator[tuple[list[str], list[int]]]:
    chunk: list[str] = []
    sizes: list[int] = []
    for document in documents:
        chunk.append(document)
        sizes.append(len(document.encode()))
        if sum(sizes) >= CHUNK_BYTES:
            yield chunk, sizes
            chunk, sizes = [], []
    if chunk:
        yield chunk, sizes


def tokenize_to(
    folder: Path, documents: Iterable[str], tokenizer: PreTrainedTokenizerFast, tokenizer_hash: str
) -> Manifest:
    """Write the token file of `documents` into `folder`, blank documents dropped and counted."""
    started = time.monotonic()
    total, kept = itertools.count(), itertools.count()
    solid = (text for text in documents if _counted(text, total, kept))
    folder.mkdir(parents=True, exist_ok=True)
    manifest = write_token_file(
        folder,
        encode_documents(solid, tokenizer),
        vocab_size=len(tokenizer),
        eos_id=tokenizer.eos_token_id,
        tokenizer_hash=tokenizer_hash,
    )
    log.info(
        "tokenized %s: %s documents, %s bytes, %s tokens in %.1f s",
        folder.name,
        f"{manifest.documents:,}",
        f"{manifest.bytes:,}",
        f"{manifest.tokens:,}",
        time.monotonic() - started,
    )
    if dropped := next(total) - next(kept):
        log.warning("%s: %s blank documents dropped", folder.name, f"{dropped:,}")
    return manifest


def _counted(text: str, total: Iterator[int], kept: Iterator[int]) -> bool:
    next(total)
    return bool(text.strip()) and next(kept) >= 0
