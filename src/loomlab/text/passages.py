"""Running text -> passages of consecutive paragraphs; every n-th document held out."""

from collections.abc import Iterable, Iterator


def held_out(documents: Iterable[str], every: int, split: str) -> Iterator[str]:
    """The documents of a split: each `every`-th is "validation", the rest "train".

    Fixed by position, so it is independent of any seed and no document is in both.
    """
    for number, document in enumerate(documents, start=1):
        if (number % every == 0) == (split == "validation"):
            yield document


def passages(lines: Iterable[str], passage_bytes: int) -> Iterator[str]:
    """Join whole paragraphs (ended by blank lines) up to `passage_bytes` of UTF-8 each.

    lines: with their ends. Text is kept as it is, but for CRLF -> LF and blank lines around a
    passage. A paragraph that alone is longer is cut at line ends, a line at spaces.
    """
    passage = ""
    for paragraph in _paragraphs(lines, passage_bytes):
        joined = passage + paragraph
        if passage and _size(joined.rstrip()) > passage_bytes:
            yield _trimmed(passage)
            joined = paragraph
        passage = joined
    if passage.strip():
        yield _trimmed(passage)


def _paragraphs(lines: Iterable[str], limit: int) -> Iterator[str]:
    """Paragraphs with the blank lines that follow them; long ones in pieces."""
    block, size, blank = "", 0, False
    for line in _short_lines(lines, limit):
        is_blank = not line.strip()
        ends = blank and not is_blank
        if block.strip() and (ends or (not is_blank and size + _size(line) > limit)):
            yield block
            block, size = "", 0
        block, size, blank = block + line, size + _size(line), is_blank
    if block:
        yield block


def _short_lines(lines: Iterable[str], limit: int) -> Iterator[str]:
    for line in lines:
        line = line[:-2] + "\n" if line.endswith("\r\n") else line
        start = 0
        while _size(line) - start > limit and len(line) - start > limit // 4:
            cut = line.rfind(" ", start + 1, start + limit // 4) + 1 or start + limit // 4
            yield line[start:cut]
            start = cut
        yield line[start:]


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _trimmed(passage: str) -> str:
    """Without blank lines before and after; indentation of the first line stays."""
    lines = passage.rstrip().split("\n")
    first = next(number for number, line in enumerate(lines) if line.strip())
    return "\n".join(lines[first:])


def capped(documents: Iterable[str], total_bytes: int) -> Iterator[str]:
    """The first documents that fit into `total_bytes` of UTF-8, whole ones only."""
    used = 0
    for document in documents:
        used += _size(document)
        if used > total_bytes:
            return
        yield document
