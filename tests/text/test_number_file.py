"""Numbers on disk: as they were, with the spread of what is trained on, rebuilt when damaged."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from loomlab.text.number_file import (
    VALUES,
    NumberFile,
    cached_number_files,
    number_file_problem,
)
from loomlab.text.numbers import RowNumbers

TEXTS = {"train": ["x", " ", "y", "z"], "validation": ["w"]}
NUMBERS = {"train": [(1.0, 0.1), (99.0, 99.0), (3.0, 1 / 3), (2.0, 2e9)], "validation": [(5, 0)]}


def cached(folder: Path, read: list[str]) -> tuple[NumberFile, NumberFile]:
    def numbers(split: str) -> Iterator[RowNumbers]:
        read.append(split)
        return (RowNumbers(row, f"{split}, {n}") for n, row in enumerate(NUMBERS[split]))

    return cached_number_files(folder, "print", lambda s: iter(TEXTS[s]), numbers, (), "y")


def test_they_are_written_once_without_those_of_blank_documents(tmp_path: Path):
    read: list[str] = []
    train, validation = cached(tmp_path, read)
    assert (len(train), len(validation)) == (3, 1)
    assert train.targets([2, 0]).tolist() == [[2.0, 2e9], [1.0, 0.1]], "64 bits, as they are"
    assert validation.targets([0]).tolist() == [[5.0, 0.0]]
    assert train.manifest.mean[0] == pytest.approx(2.0)
    labels = train.manifest.label_set(16)
    assert (labels.names, labels.counts, labels.rows) == (("y_1", "y_2"), (3, 3), 3)
    assert labels.spread is not None
    assert labels.head_settings()["label_mean"] == train.manifest.mean
    assert pickle.loads(pickle.dumps(train)).targets([1]).tolist() == [[3.0, 1 / 3]]
    seen = len(read)
    cached(tmp_path, read)
    assert len(read) == seen, "not read again"


def test_what_was_damaged_is_written_anew(tmp_path: Path):
    train, _ = cached(tmp_path, [])
    assert number_file_problem(train.folder) is None
    path = train.folder / VALUES
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert "checksum" in str(number_file_problem(train.folder))
    again, _ = cached(tmp_path, [])
    assert again.targets([2]).tolist() == [[2.0, 2e9]]
    (train.folder / "numbers.json").unlink()
    assert "unreadable" in str(number_file_problem(train.folder))
