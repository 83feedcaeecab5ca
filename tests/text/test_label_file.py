"""Label files: exact content beside the tokens, and damage that is noticed."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from loomlab.errors import InputError
from loomlab.text.class_labels import RowLabels
from loomlab.text.label_file import (
    LabelFile,
    cached_label_files,
    label_file_problem,
    write_label_file,
)

ROWS = [("b",), ("a", "c"), (), ("c",)]
HOT = [[0, 1, 0], [1, 0, 1], [0, 0, 0], [0, 0, 1]]


def labels(*rows: tuple[str, ...]) -> list[RowLabels]:
    return [RowLabels(row, f"x.csv, line {n}") for n, row in enumerate(rows, start=2)]


@pytest.fixture
def written(tmp_path: Path) -> LabelFile:
    write_label_file(tmp_path, labels(*ROWS), ["a", "b", "c"])
    return LabelFile(tmp_path)


def test_labels_come_back(written: LabelFile):
    assert len(written) == 4
    assert written.targets([0, 1, 2, 3]).tolist() == HOT
    assert written.targets([3, 1]).tolist() == [HOT[3], HOT[1]]
    assert written.targets([0]).dtype == np.float32
    assert written.manifest.counts == [1, 1, 2]
    assert written.manifest.not_single == "x.csv, line 3: 2 labels"
    again = pickle.loads(pickle.dumps(written))
    assert again.targets([1]).tolist() == [HOT[1]]


def test_rows_of_one_label_each_are_known_as_such(tmp_path: Path):
    manifest = write_label_file(tmp_path, labels(("a",), ("b", "1")), ["a", "b"])
    assert (manifest.not_single, manifest.counts) == ("", [1, 1]), "by name and by number"


def test_labels_of_words_keep_their_order(tmp_path: Path):
    rows = labels(("b", "a", "b"), (), ("0",))
    manifest = write_label_file(tmp_path, rows, ["a", "b"], of_words=True)
    file = LabelFile(tmp_path)
    assert [file.numbers[file.place(n)].tolist() for n in range(3)] == [[1, 0, 1], [], [0]]
    assert (manifest.documents, manifest.counts) == (3, [2, 2])


@pytest.mark.parametrize("name", ["labels.bin", "label_ends.bin", "labels.json"])
def test_damage_is_noticed(written: LabelFile, name: str):
    assert label_file_problem(written.folder) is None
    path = written.folder / name
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    assert label_file_problem(written.folder)


def test_files_are_cached_mended_and_skip_blank_documents(tmp_path: Path):
    texts = {"train": ["one", " ", "two"], "validation": ["three"]}
    rows = {"train": labels(("a",), ("a",), ("b",)), "validation": labels(("a",))}
    asked: list[str] = []

    def read(split: str) -> list[RowLabels]:
        asked.append(split)
        return rows[split]

    def files() -> tuple[LabelFile, LabelFile]:
        return cached_label_files(tmp_path, "print", lambda s: iter(texts[s]), read, ())

    train, validation = files()
    assert train.targets([0, 1]).tolist() == [[1, 0], [0, 1]]
    assert (len(train), len(validation)) == (2, 1)
    before = len(asked)
    files()
    assert len(asked) == before, "found in the cache"
    for damaged in (train, validation):
        (damaged.folder / "labels.bin").write_bytes(b"")
        again = files()
        assert [file.targets([len(file) - 1]).tolist() for file in again] == [[[0, 1]], [[1, 0]]]
    assert len(asked) == 3 * before


def test_names_in_another_order_and_other_documents_are_other_files(tmp_path: Path):
    def read(name: str, *given: str) -> LabelFile:
        rows = labels(("a",), *[("b",)] * len(name))
        return cached_label_files(
            tmp_path, name, lambda _: iter("x" * len(rows)), lambda _: rows, given
        )[0]

    assert [read("print", *given).manifest.names for given in ("", "ab", "ba")] == [
        *(["a", "b"], ["a", "b"], ["b", "a"])
    ]
    assert read("print", "b", "a").targets([0]).tolist() == [[0, 1]]
    assert [len(read(name)) for name in ("print", "other_print")] == [6, 12]


def test_what_cannot_be_learned_leaves_no_file(tmp_path: Path):
    with pytest.raises(InputError, match="all 1 training rows"):
        cached_label_files(
            tmp_path, "print", lambda s: iter(["x"]), lambda s: iter(labels(("a",))), ()
        )
    assert not [path for path in (tmp_path / "labels").iterdir() if path.is_dir()]
