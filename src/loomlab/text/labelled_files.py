"""Rows of the user's files that have labels: where each is, its text and its labels."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loomlab.errors import InputError
from loomlab.text.class_labels import RowLabels
from loomlab.text.files import corpus_files, tell_left_out
from loomlab.text.identity import files_digest
from loomlab.text.parquet import parquet_rows
from loomlab.text.passages import held_out
from loomlab.text.reading import json_rows, read_lines, sound_text, text_of

KINDS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".parquet")
LONGEST_CELL = 1 << 27  # bytes; the csv module stops at 128 kB unless told otherwise


@dataclass(frozen=True)
class LabelledFiles:
    """Labelled rows in files, cut into training and held-out ones; see `corpus=labelled`."""

    path: str
    text_key: str = "text"
    label_key: str = "label"
    separator: str | None = None
    validation_path: str | None = None
    validation_every: int = 10
    encoding: str = "utf-8"
    errors: str = "strict"

    def texts(self, split: str) -> Iterator[str]:
        """The text of each row, in order; InputError with the place of a row that has none."""
        for place, row in self._split(self.text_key, split):
            yield text_of(row, self.text_key, place, self.errors)

    def labels(self, split: str) -> Iterator[RowLabels]:
        """The labels of each row, in order: names or numbers, as written in the file.

        A list gives several labels; so does a text with the separator in it.
        Raises InputError with the place of a row without a label.
        """
        for place, row in self._split(self.label_key, split):
            labels = _labels(row, self.label_key, self.separator, place)
            yield RowLabels(tuple(sound_text(n, place, self.errors) for n in labels), place)

    def files(self) -> tuple[list[Path], list[Path]]:
        """The files to train on, and those held out whole; a file that is both is held out."""
        train = corpus_files(self.path, KINDS)
        if not self.validation_path:
            return train, []
        validation = corpus_files(self.validation_path, KINDS, "validation_path")
        known = {file.resolve() for file in validation}
        train = [file for file in train if file.resolve() not in known]
        if not train:
            raise InputError(
                f"corpus.validation_path={self.validation_path} holds out every file of "
                "corpus.path: leave some to train on, or set corpus.validation_every instead"
            )
        return train, validation

    def tell_left_out(self) -> None:
        """Say which files of the paths are not of a kind that has rows."""
        tell_left_out(self.path, KINDS)
        if self.validation_path:
            tell_left_out(self.validation_path, KINDS, "validation_path")

    def fingerprint(self) -> str:
        """Hash of the files and of the settings that read them."""
        train, validation = self.files()
        read = [self.text_key, self.label_key, self.separator, self.encoding, self.errors]
        kinds = [file.suffixes for file in (*train, *validation)]
        every = None if validation else self.validation_every
        return files_digest([*train, *validation], "labelled", read, every, len(train), kinds)

    def _split(self, key: str, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        train, validation = self.files()
        if validation:
            return self._rows(validation if split == "validation" else train, key)
        return held_out(self._rows(train, key), self.validation_every, split)

    def _rows(self, files: list[Path], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for file in files:
            yield from _rows(file, key, self.encoding, self.errors)


def _rows(
    file: Path, key: str, encoding: str, errors: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    name = file.name.lower().removesuffix(".gz")
    if name.endswith(".jsonl"):
        return json_rows(file, key, encoding, errors)
    if name.endswith(".parquet"):
        return parquet_rows(file, key, errors)
    return _table_rows(file, key, "\t" if name.endswith(".tsv") else ",", encoding, errors)


def _table_rows(
    file: Path, key: str, delimiter: str, encoding: str, errors: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(read_lines(file, encoding, errors), delimiter=delimiter, strict=True)
    try:
        columns = reader.fieldnames or []
        if key not in columns:
            raise _no_key(str(file), key, columns)
        for row in reader:
            place = f"{file}, line {reader.line_num}"
            if None in row or None in row.values():
                raise InputError(
                    f"{place}: more or fewer cells than the {len(columns)} columns of the first "
                    "line: quote a cell that holds a delimiter or a line end"
                )
            yield place, row
    except csv.Error as error:
        raise InputError(
            f"{file}, after line {reader.line_num}: no sound row ({error}): fix it"
        ) from error


def _no_key(place: str, key: str, known: Iterable[str]) -> InputError:
    return InputError(
        f'{place}: there is no "{key}": set corpus.text_key and corpus.label_key '
        f"(there are: {', '.join(known) or 'none'})"
    )


def _labels(row: dict[str, Any], key: str, separator: str | None, place: str) -> tuple[str, ...]:
    if key not in row:
        raise _no_key(place, key, row)
    value = row[key]
    if isinstance(value, list):
        return tuple(dict.fromkeys(_label(v, key, place) for v in value))
    if isinstance(value, str) and separator:
        parts = (part.strip() for part in value.split(separator))
        return tuple(dict.fromkeys(part for part in parts if part))
    return (_label(value, key, place),)


def _label(value: Any, key: str, place: str) -> str:
    if isinstance(value, str | bool | int) and str(value).strip():
        return str(value).strip()
    if value is None or value == "":
        raise InputError(
            f'{place}: no label at "{key}": give the row one or leave it out, or set '
            "corpus.label_key to another key"
        )
    raise InputError(
        f'{place}: the label at "{key}" is {value!r}, neither text nor a whole number nor a list '
        "of these: convert it, or set corpus.label_key to another key"
    )
