"""One split of a tokenized corpus on disk: flat tokens, document ends and a manifest."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

SCHEMA_VERSION = 3
KINDS = {2: torch.uint16, 4: torch.uint32, 8: torch.uint64}  # by bytes
TOKENS, DOCUMENTS, MANIFEST = "tokens.bin", "documents.bin", "manifest.json"


def token_dtype(vocab_size: int) -> type[np.uint16] | type[np.uint32]:
    """uint16 while every id fits (vocabulary up to 65,535), else uint32."""
    return np.uint16 if vocab_size <= 65_535 else np.uint32


@dataclass(frozen=True)
class Manifest:
    """What tokens.bin and documents.bin must hold.

    `bytes` counts UTF-8 text without eos, `unknown_bytes` those of it that no token carries.
    """

    schema_version: int
    dtype: str
    tokens: int
    documents: int
    bytes: int
    unknown_bytes: int
    eos_id: int
    tokenizer_hash: str
    tokens_sha256: str
    documents_sha256: str


class TokenFile:
    """A read-only, memory-mapped token file.

    tokens: (N,) uint16 or uint32, little endian; each document is followed by eos.
    ends: (D,) uint64, position after the eos of each document. Workers that receive a pickled
    TokenFile map the file again instead of copying it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        dtype = np.dtype(self.manifest.dtype).newbyteorder("<")
        self.tokens = _map(self.folder / TOKENS, dtype)
        self.ends = _map(self.folder / DOCUMENTS, np.dtype("<u8"))

    def __len__(self) -> int:
        return self.manifest.tokens

    def __reduce__(self) -> tuple[type["TokenFile"], tuple[Path]]:
        return TokenFile, (self.folder,)

    def document_of(self, positions: np.ndarray) -> np.ndarray:
        """Number of the document that holds each position, same shape, int64."""
        return np.searchsorted(self.ends, positions, side="right")


def _map(path: Path, dtype: np.dtype) -> np.ndarray:
    """A file in memory, mapped and read-only.

    By torch, whose mapping keeps no file open as that of numpy does: a process in which runs
    follow each other would come to have no more left to open.
    """
    count = path.stat().st_size // dtype.itemsize
    if not count:
        return np.empty(0, dtype)
    mapped = torch.from_file(str(path), shared=False, size=count, dtype=KINDS[dtype.itemsize])
    array = mapped.numpy()
    array.flags.writeable = False
    return array.view(dtype)


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`; OSError, ValueError or TypeError when it is not one."""
    return Manifest(**json.loads((folder / MANIFEST).read_text()))


def token_file_problem(folder: Path, tokenizer_hash: str, checksums: bool = True) -> str | None:
    """One line on why `folder` is not a sound token file of this tokenizer, or None."""
    try:
        manifest = read_manifest(folder)
        sizes = [(folder / name).stat().st_size for name in (TOKENS, DOCUMENTS)]
    except (OSError, ValueError, TypeError) as error:
        return f"{folder.name}: manifest or data unreadable ({error})"
    if manifest.schema_version != SCHEMA_VERSION or manifest.tokenizer_hash != tokenizer_hash:
        return f"{folder.name}: written for another format or tokenizer"
    expected = [manifest.tokens * np.dtype(manifest.dtype).itemsize, manifest.documents * 8]
    if sizes != expected:
        return f"{folder.name}: files of {sizes} bytes, the manifest says {expected}"
    if checksums:
        for name, digest in (
            (TOKENS, manifest.tokens_sha256),
            (DOCUMENTS, manifest.documents_sha256),
        ):
            if file_sha256(folder / name) != digest:
                return f"{folder.name}/{name}: checksum differs from the manifest"
    return None


def write_token_file(
    folder: Path,
    documents: Iterable[tuple[np.ndarray, int, int]],
    *,
    vocab_size: int,
    eos_id: int,
    tokenizer_hash: str,
) -> Manifest:
    """Stream (token ids without eos, text bytes, unknown ones) into an existing folder.

    Memory is that of one document. The manifest comes last, so it never vouches for half a file.
    """
    dtype = np.dtype(token_dtype(vocab_size)).newbyteorder("<")
    ends: list[int] = []
    position = text_bytes = unknown_bytes = 0
    with (folder / TOKENS).open("wb") as handle:
        for ids, size, unknown in documents:
            handle.write(np.append(ids, eos_id).astype(dtype).tobytes())
            position += len(ids) + 1
            text_bytes += size
            unknown_bytes += unknown
            ends.append(position)
    (folder / DOCUMENTS).write_bytes(np.asarray(ends, dtype="<u8").tobytes())
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        dtype=dtype.name,
        tokens=position,
        documents=len(ends),
        bytes=text_bytes,
        unknown_bytes=unknown_bytes,
        eos_id=eos_id,
        tokenizer_hash=tokenizer_hash,
        tokens_sha256=file_sha256(folder / TOKENS),
        documents_sha256=file_sha256(folder / DOCUMENTS),
    )
    values: dict[str, Any] = asdict(manifest)
    (folder / MANIFEST).write_text(json.dumps(values, indent=1) + "\n")
    return manifest


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
