"""Rows of words, each with a label, in JSONL, Parquet or the columns of CoNLL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from loomlab.errors import InputError
from loomlab.text.class_labels import RowLabels
from loomlab.text.labelled_files import LabelledFiles, label_of, no_key
from loomlab.text.reading import read_lines, sound_text

CONLL = (".conll", ".iob", ".bio", ".txt")
KINDS = (".jsonl", ".jsonl.gz", ".parquet", *CONLL, *(f"{kind}.gz" for kind in CONLL))
DOCUMENT_START = "-DOCSTART-"


@dataclass(frozen=True)
class TaggedFiles(LabelledFiles):
    """Rows of tagged words in files; see `corpus=tagged`."""

    text_key: str = "tokens"
    label_key: str = "tags"
    kinds: ClassVar[tuple[str, ...]] = KINDS
    made_of: ClassVar[str] = "tagged"

    def texts(self, split: str) -> Iterator[str]:
        """The words of each row with a space between them, in order."""
        return (" ".join(words) for words in self.words(split))

    def words(self, split: str) -> Iterator[list[str]]:
        """The words of each row, in order; InputError with the place of a row that has none."""
        for place, row in self._split(self.text_key, split):
            found = _list_of(row, self.text_key, place)
            yield [_word(value, self.text_key, place, self.errors) for value in found]

    def labels(self, split: str) -> Iterator[RowLabels]:
        """The label of each word of each row, in order: names or numbers, as in the file.

        Raises InputError with the place of a row that has not as many labels as words.
        """
        rows = zip(
            self._split(self.text_key, split), self._split(self.label_key, split), strict=True
        )
        for (place, of_words), (_, of_labels) in rows:
            words = _list_of(of_words, self.text_key, place)
            labels = _list_of(of_labels, self.label_key, place)
            if len(words) != len(labels):
                raise InputError(
                    f'{place}: {len(words)} words at "{self.text_key}" and {len(labels)} labels '
                    f'at "{self.label_key}": give each word one label'
                )
            names = (label_of(label, self.label_key, place) for label in labels)
            yield RowLabels(tuple(sound_text(name, place, self.errors) for name in names), place)

    def _rows_of(self, file: Path, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if not file.name.lower().removesuffix(".gz").endswith(CONLL):
            return super()._rows_of(file, key)
        return self._sentences(file)

    def _sentences(self, file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        """Rows of a file with a word and its label a line, first and last of its columns.

        A blank line ends a row; columns are told apart by tabs, or else by spaces.
        """
        words: list[str] = []
        labels: list[str] = []
        first = 0
        for number, line in enumerate(read_lines(file, self.encoding, self.errors), start=1):
            columns = line.strip().split("\t") if "\t" in line.strip() else line.split()
            if not columns or columns[0] == DOCUMENT_START:
                if words:
                    yield self._sentence(file, first, words, labels)
                words, labels = [], []
            elif len(columns) == 1:
                raise InputError(
                    f"{file}, line {number}: '{columns[0]}' alone, where a line is a word and its "
                    "label: give both, with a space or a tab between them"
                )
            else:
                first = first if words else number
                words.append(columns[0])
                labels.append(columns[-1])
        if words:
            yield self._sentence(file, first, words, labels)

    def _sentence(
        self, file: Path, line: int, words: list[str], labels: list[str]
    ) -> tuple[str, dict[str, Any]]:
        return f"{file}, line {line}", {self.text_key: words, self.label_key: labels}


def _list_of(row: dict[str, Any], key: str, place: str) -> list[Any]:
    if key not in row:
        raise no_key(place, key, row)
    value = row[key]
    if isinstance(value, list):
        return value
    raise InputError(
        f'{place}: "{key}" is {type(value).__name__}, not a list with an entry for each word: '
        "split it, or set corpus.text_key and corpus.label_key to keys that hold lists"
    )


def _word(value: Any, key: str, place: str, errors: str) -> str:
    if isinstance(value, str):
        return sound_text(value, place, errors)
    raise InputError(
        f'{place}: {value!r} at "{key}" is {type(value).__name__}, not a word: make it text'
    )
