"""The documents inside one of the user's files."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from loomlab.text.parquet import read_parquet
from loomlab.text.passages import passages, separated
from loomlab.text.reading import read_jsonl, read_lines, tell_once

END_OF_TEXT = "<|endoftext|>"  # the line between documents in many a data set


def file_documents(
    file: Path,
    text_key: str,
    passage_bytes: int,
    encoding: str,
    errors: str,
    separator: str | None = None,
) -> Iterator[str]:
    """Documents of one file, by the kind its name ends with; see the readers for the errors."""
    name = file.name.lower().removesuffix(".gz")
    if name.endswith(".jsonl"):
        return read_jsonl(file, text_key, encoding, errors)
    if name.endswith(".parquet"):
        return read_parquet(file, text_key, errors)
    lines = read_lines(file, encoding, errors)
    if separator is None:
        return passages(_looked_at(lines, file), passage_bytes)
    return separated(_counted(lines, separator, file), separator)


def _looked_at(lines: Iterable[str], file: Path) -> Iterator[str]:
    """The lines; those that end documents elsewhere are told, for here they are text."""
    found = 0
    for line in lines:
        found += END_OF_TEXT in line and line.strip() == END_OF_TEXT
        yield line
    if found:
        tell_once(
            f"{file}: {found:,} lines are {END_OF_TEXT} and taken as text; to end a document at "
            f"each, add \"corpus.document_separator='{END_OF_TEXT}'\""
        )


def _counted(lines: Iterable[str], separator: str, file: Path) -> Iterator[str]:
    found = False
    for line in lines:
        found = found or line.strip() == separator
        yield line
    if not found:
        tell_once(f"{file}: no line is {separator}, so it is one document")
