"""Text files to lines and rows; what is wrong with a file is said with its place."""

import gzip
import json
import logging
import re
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any

from loomlab.errors import InputError

log = logging.getLogger("loomlab.text")
REPLACEMENT = "\ufffd"
SURROGATE = re.compile("[\ud800-\udfff]")
OF_CORPUS = "set corpus.encoding=latin-1 or corpus.errors=replace"
BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_lines(
    path: Path, encoding: str = "utf-8", errors: str = "strict", remedy: str = OF_CORPUS
) -> Iterator[str]:
    """Lines of a .txt or .txt.gz file with their ends, one in memory at a time.

    `remedy`: what else than mending the file helps against bytes that are not text.

    Raises InputError with line and byte offset for bytes that are not text in `encoding`
    (errors="replace" puts U+FFFD there), NUL bytes, UTF-16 and damaged gzip.
    """
    offset = replaced = number = 0
    with _open(path) as handle:
        for line in _raw_lines(handle, path):
            number += 1
            if number == 1:
                _refuse_utf16(path, line)
                offset, line = (3, line[3:]) if line.startswith(b"\xef\xbb\xbf") else (0, line)
            if (at := line.find(b"\0")) >= 0:
                raise InputError(
                    f"{path}, line {number}, byte {offset + at}: a NUL byte, so this is not "
                    "a text file: remove it or leave the file out"
                )
            text = _decoded(line, encoding, errors, offset, f"{path}, line {number}", remedy)
            if errors == "replace" and REPLACEMENT in text:
                replaced += text.count(REPLACEMENT) - line.count(REPLACEMENT.encode())
            offset += len(line)
            del line  # a line may be most of a file: not twice in memory while it is used
            yield text
            del text
    if replaced:
        tell_once(f"{path}: {replaced:,} bytes that are not {encoding} were replaced")


@cache
def tell_once(what: str) -> None:
    """Files are read several times; what is odd about them is said once."""
    log.warning("%s", what)


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _raw_lines(handle: IO[bytes] | gzip.GzipFile, path: Path) -> Iterator[bytes]:
    try:
        yield from handle
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is a damaged gzip file ({error}): get it again") from error


def _refuse_utf16(path: Path, line: bytes) -> None:
    name = BYTE_ORDER_MARKS.get(line[:2])
    if name:
        raise InputError(
            f"{path} is {name}: convert it with `iconv -f UTF-16 -t UTF-8 OLD > NEW`, then point "
            "to the new file"
        )


def _decoded(line: bytes, encoding: str, errors: str, offset: int, place: str, remedy: str) -> str:
    try:
        return line.decode(encoding, errors)
    except UnicodeDecodeError as error:
        at = offset + error.start
        raise InputError(
            f"{place}, byte {at}: 0x{line[error.start]:02x} is not {encoding}: fix the file, or "
            f"{remedy}"
        ) from error


def read_jsonl(
    path: Path, text_key: str, encoding: str = "utf-8", errors: str = "strict"
) -> Iterator[str]:
    """The text of each row of a .jsonl(.gz) file; blank lines are skipped, null is blank.

    Raises InputError naming the line that is not a JSON object with a string at `text_key`.
    """
    for place, row in json_rows(path, text_key, encoding, errors):
        yield text_of(row, text_key, place, errors)


def json_rows(
    path: Path, text_key: str, encoding: str = "utf-8", errors: str = "strict"
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The place ("FILE, line 3") and object of each row of a .jsonl(.gz) file, blank ones skipped.

    Raises InputError naming the line that is not a JSON object; `text_key` shows how one looks.
    """
    for number, line in enumerate(read_lines(path, encoding, errors), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not JSON ({error}): fix the row") from error
        if not isinstance(row, dict):
            raise InputError(
                f'{path}, line {number}: a row must be an object like {{"{text_key}": "..."}}'
            )
        yield f"{path}, line {number}", row


def text_of(row: dict[str, Any], text_key: str, place: str, errors: str = "strict") -> str:
    """The string at `text_key`, blank for null; InputError that names the keys that hold one."""
    text = row.get(text_key)
    if isinstance(text, str):
        return sound_text(text, place, errors)
    if text is None and text_key in row:
        return ""
    kind = "no" if text_key not in row else f"{type(text).__name__}, not text, at"
    keys = ", ".join(key for key, value in row.items() if isinstance(value, str)) or "none"
    raise InputError(
        f'{place}: {kind} key "{text_key}": set corpus.text_key (keys with text: {keys})'
    )


def sound_text(text: str, place: str, errors: str = "strict") -> str:
    """The text, if UTF-8 can hold it: JSON spells halves of characters, such as "\\ud83d".

    Raises InputError with the place of a half alone; errors="replace" puts U+FFFD there.
    """
    half = None if text.isascii() else SURROGATE.search(text)
    if half is None:
        return text
    if errors == "replace":
        file = place.rpartition(", ")[0]
        tell_once(f"{file}: halves of surrogate pairs, which are not UTF-8, were replaced")
        return SURROGATE.sub(REPLACEMENT, text)
    raise InputError(
        f"{place}: \\u{ord(half[0]):04x} is half of a surrogate pair, which is not UTF-8: fix the "
        "row, or set corpus.errors=replace"
    )
