"""What a set of files or settings is, as one short hash."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WHOLE_BYTES = 1 << 28
RULES_VERSION = 1  # raise it when passages, splits or tokenizer training change


def files_digest(files: Iterable[Path], *settings: Any) -> str:
    """Hex digest of the files' contents, in order, and of `settings` (JSON values).

    Names do not count, so a copied corpus is the same corpus. Of a file over 256 MB, size and
    time of change stand for the content: reading it would delay every start.
    """
    digest = hashlib.blake2b(json.dumps([RULES_VERSION, *settings]).encode(), digest_size=16)
    for path in files:
        status = path.stat()
        if status.st_size > WHOLE_BYTES:
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns}".encode())
            continue
        with path.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


def content_key(*parts: Any) -> str:
    """A folder name for what `parts` (JSON values) determine: 20 hex digits."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
