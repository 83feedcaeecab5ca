"""Rows of the user's files that have labels: where each is, its text and its labels."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from loomlab.errors import InputError
from loomlab.text.class_labels import RowLabels
from loomlab.text.files import corpus_files, tell_left_out
from loomlab.text.identity import files_digest
from loomlab.text.numbers import RowNumbers, read_numbers
from loomlab.text.parquet import parquet_rows
from loomlab.text.passages import held_out
from loomlab.text.reading import json_rows, read_lines, sound_text, text_of

KINDS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".parquet")
SHOWN = 3  # files that a message names
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
    kinds: ClassVar[tuple[str, ...]] = KINDS
    made_of: ClassVar[str] = "labelled"  # a word of the fingerprint

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

    def numbers(self, split: str) -> Iterator[RowNumbers]:
        """The numbers of each row, in order; a list, or a text with the separator, has several.

        Raises InputError with the place of a row that has none, or something else.
        """
        for place, row in self._split(self.label_key, split):
            value = _value(row, self.label_key, place)
            yield RowNumbers(read_numbers(value, self.label_key, self.separator, place), place)

    def files(self) -> tuple[list[Path], list[Path]]:
        """The files to train on, and those held out whole; a file that is both is held out."""
        train = corpus_files(self.path, self.kinds)
        if not self.validation_path:
            return train, []
        validation = corpus_files(self.validation_path, self.kinds, "validation_path")
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
        tell_left_out(self.path, self.kinds)
        if self.validation_path:
            tell_left_out(self.validation_path, self.kinds, "validation_path")

    def fingerprint(self) -> str:
        """Hash of the files and of the settings that read them."""
        train, validation = self.files()
        read = [self.text_key, self.label_key, self.separator, self.encoding, self.errors]
        kinds = [file.suffixes for file in (*train, *validation)]
        every = None if validation else self.validation_every
        return files_digest([*train, *validation], self.made_of, read, every, len(train), kinds)

    def _split(self, key: str, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        train, validation = self.files()
        if validation:
            return self._rows(validation if split == "validation" else train, key)
        return held_out(self._rows(train, key), self.validation_every, split)

    def _rows(self, files: list[Path], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of all files; InputError where there is not one."""
        none = True
        for file in files:
            for row in self._rows_of(file, key):
                none = False
                yield row
        if none:
            raise InputError(
                f"{_named(files)}: no row is there, at most a line of names: give rows of a text "
                "and its label"
            )

    def _rows_of(self, file: Path, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The place and the values of each row of a file, among them that of the key."""
        name = file.name.lower().removesuffix(".gz")
        if name.endswith(".jsonl"):
            return json_rows(file, key, self.encoding, self.errors)
        if name.endswith(".parquet"):
            return parquet_rows(file, key, self.errors)
        delimiter = "\t" if name.endswith(".tsv") else ","
        return _table_rows(file, key, delimiter, self.encoding, self.errors)


def _named(files: list[Path]) -> str:
    """The files, or as many as fit into a sentence."""
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return ", ".join(map(str, files[:SHOWN])) + more


def _table_rows(
    file: Path, key: str, delimiter: str, encoding: str, errors: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(read_lines(file, encoding, errors), delimiter=delimiter, strict=True)
    try:
        columns = reader.fieldnames or []
        if key not in columns:
            raise no_key(str(file), key, columns)
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


def no_key(place: str, key: str, known: Iterable[str]) -> InputError:
    """The fault of a row or file without a value that the corpus reads."""
    return InputError(
        f'{place}: there is no "{key}": set corpus.text_key and corpus.label_key '
        f"(there are: {', '.join(known) or 'none'})"
    )


def _value(row: dict[str, Any], key: str, place: str) -> Any:
    if key not in row:
        raise no_key(place, key, row)
    return row[key]


def _labels(row: dict[str, Any], key: str, separator: str | None, place: str) -> tuple[str, ...]:
    value = _value(row, key, place)
    if isinstance(value, list):
        return tuple(dict.fromkeys(label_of(v, key, place) for v in value))
    if isinstance(value, str) and separator:
        parts = (part.strip() for part in value.split(separator))
        return tuple(dict.fromkeys(part for part in parts if part))
    return (label_of(value, key, place),)


def label_of(value: Any, key: str, place: str) -> str:
    """A label as it is written in a file; InputError for what is none."""
    if isinstance(value, str | bool | int) and str(value).strip():
        return str(value).strip()
    if value is None or value == "":
        raise InputError(
            f'{place}: no label at "{key}": give the row one or leave it out, or set '
            "corpus.label_key to another key"
        )
    numbers = ", or use objective=regression for numbers" if isinstance(value, float) else ""
    raise InputError(
        f'{place}: the label at "{key}" is {value!r}, neither text nor a whole number nor a list '
        f"of these: convert it, or set corpus.label_key to another key{numbers}"
    )
