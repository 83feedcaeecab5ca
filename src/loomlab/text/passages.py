"""Running text -> passages of consecutive paragraphs; every n-th document held out."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Document = TypeVar("Document")


def held_out(documents: Iterable[Document], every: int, split: str) -> Iterator[Document]:
    """The documents of a split: each `every`-th is "validation", the rest "train".

    Fixed by position, so it is independent of any seed and no document is in both.
    """
    for number, document in enumerate(documents, start=1):
        if (number % every == 0) == (split == "validation"):
            yield document


def separated(lines: Iterable[str], separator: str) -> Iterator[str]:
    """Documents that lie between lines which are `separator`; blank ones are left out.

    lines: with their ends. Text is kept as it is, but for CRLF -> LF and blank lines around a
    document. One document is in memory at a time.
    """
    parts: list[str] = []
    for line in lines:
        if line.strip() == separator:
            if parts:
                yield "".join(parts).rstrip()
            parts = []
        elif parts or line.strip():
            parts.append(_newline(line))
    if parts:
        yield "".join(parts).rstrip()


def passages(lines: Iterable[str], passage_bytes: int) -> Iterator[str]:
    """Join whole paragraphs (ended by blank lines) up to `passage_bytes` of UTF-8 each.

    lines: with their ends. Text is kept as it is, but for CRLF -> LF and blank lines around a
    passage. A paragraph that alone is longer is cut at line ends, a line at spaces.
    """
    parts: list[str] = []
    size = 0
    for paragraph in _paragraphs(lines, passage_bytes):
        if parts and size + _size(paragraph.rstrip()) > passage_bytes:
            yield "".join(parts).rstrip()
            parts, size = [], 0
        parts.append(paragraph)
        size += _size(paragraph)
    if parts:
        yield "".join(parts).rstrip()


def _paragraphs(lines: Iterable[str], limit: int) -> Iterator[str]:
    """Paragraphs with the blank lines that follow them; long ones in pieces."""
    block: list[str] = []
    size, blank = 0, False
    for line in _short_lines(lines, limit):
        is_blank = not line.strip()
        if is_blank and not block:
            continue
        ends = blank and not is_blank
        if block and (ends or (not is_blank and size + _size(line.rstrip()) > limit)):
            yield "".join(block)
            block, size = [], 0
        block.append(line)
        size, blank = size + _size(line), is_blank
    if block:
        yield "".join(block)


def _short_lines(lines: Iterable[str], limit: int) -> Iterator[str]:
    for line in lines:
        line = _newline(line)
        start, size = 0, _size(line)  # once: a line can be as long as its file
        while size - start > limit and len(line) - start > limit // 4:
            cut = line.rfind(" ", start + 1, start + limit // 4) + 1 or start + limit // 4
            yield line[start:cut]
            start = cut
        yield line[start:]


def _newline(line: str) -> str:
    return line[:-2] + "\n" if line.endswith("\r\n") else line


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def capped(documents: Iterable[str], total_bytes: int) -> Iterator[str]:
    """The first documents that fit into `total_bytes` of UTF-8, whole ones only."""
    used = 0
    for document in documents:
        used += _size(document)
        if used > total_bytes:
            return
        yield document
