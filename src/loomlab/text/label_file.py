"""The labels of one split on disk, beside its token file: numbers, row ends and a manifest."""

# Shapes: D documents, N labels of all of them, B rows, C label names.

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from loomlab.text.class_labels import RowLabels, resolve, settle_names, settle_tags
from loomlab.text.label_set import LabelSet
from loomlab.text.prepare import content_key
from loomlab.text.split_files import cached_splits, manifest_problem, of_solid
from loomlab.text.token_file import file_sha256

SCHEMA_VERSION = 1
NUMBERS, ENDS, MANIFEST = "labels.bin", "label_ends.bin", "labels.json"


@dataclass(frozen=True)
class LabelManifest:
    """What labels.bin and label_ends.bin must hold.

    counts: rows of each name. not_single: the first row whose labels are not one, and how many
    it has, as words; empty when every row has one.
    """

    schema_version: int
    documents: int
    names: list[str]
    counts: list[int]
    not_single: str
    labels_sha256: str
    ends_sha256: str

    def sums(self) -> dict[str, str]:
        """The SHA-256 of each file."""
        return {NUMBERS: self.labels_sha256, ENDS: self.ends_sha256}

    def label_set(self, row_length: int) -> LabelSet:
        """What an objective is told of labels of which these are the training rows."""
        return LabelSet(
            tuple(self.names), tuple(self.counts), self.documents, row_length, self.not_single
        )


class LabelFile:
    """Read-only labels: numbers (N,) int32, ends (D,) uint64 of each document's labels."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.manifest = _read_manifest(self.folder)
        self.numbers = np.fromfile(self.folder / NUMBERS, dtype="<i4")
        self.ends = np.fromfile(self.folder / ENDS, dtype="<u8").astype(np.int64)

    def __len__(self) -> int:
        return self.manifest.documents

    def __reduce__(self) -> tuple[type[LabelFile], tuple[Path]]:
        return LabelFile, (self.folder,)

    def targets(self, documents: Sequence[int]) -> np.ndarray:
        """Ones where a document has a label, (B, C) float32."""
        hot_BC = np.zeros((len(documents), len(self.manifest.names)), dtype=np.float32)
        for row, document in enumerate(documents):
            hot_BC[row, self.numbers[self.place(document)]] = 1.0
        return hot_BC

    def place(self, document: int) -> slice:
        """Where the labels of a document are among all numbers."""
        return slice(int(self.ends[document - 1]) if document else 0, int(self.ends[document]))


def _read_manifest(folder: Path) -> LabelManifest:
    return LabelManifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def cached_label_files(
    cache_dir: Path,
    fingerprint: str,
    documents: Callable[[str], Iterator[str]],
    labels: Callable[[str], Iterator[RowLabels]],
    given: Sequence[str],
    of_words: bool = False,
) -> tuple[LabelFile, LabelFile]:
    """The label files (train, validation) of these documents, written first if need be.

    Labels of blank documents are dropped, as their tokens are. given: the names of the labels.
    of_words: a document has one label for each of its words, and they are kept in that order.
    Raises InputError for labels that cannot be learned; see `settle_names` and `settle_tags`.
    """

    def solid(split: str) -> Iterator[RowLabels]:
        return of_solid(documents(split), labels(split))

    def build(folders: dict[str, Path]) -> None:
        settle = settle_tags if of_words else settle_names
        names = settle(labels("train"), labels("validation"), given)
        for split, folder in folders.items():
            write_label_file(folder, solid(split), names, of_words)

    key = content_key(fingerprint, "labels", list(given), SCHEMA_VERSION)
    train, validation = cached_splits(cache_dir / "labels" / key, build, label_file_problem)
    return LabelFile(train), LabelFile(validation)


def write_label_file(
    folder: Path, rows: Iterable[RowLabels], names: list[str], of_words: bool = False
) -> LabelManifest:
    """Write the labels of documents, in order, into an existing folder; the manifest last.

    of_words: as in `cached_label_files`; else a document has a set of labels.
    """
    numbers: list[int] = []
    ends: list[int] = []
    not_single = ""
    for row in rows:
        own = resolve(row, names)
        numbers += own if of_words else sorted(set(own))
        if not not_single and len(set(own)) != 1:
            not_single = f"{row.place}: {len(set(own))} labels"
        ends.append(len(numbers))
    (folder / NUMBERS).write_bytes(np.asarray(numbers, dtype="<i4").tobytes())
    (folder / ENDS).write_bytes(np.asarray(ends, dtype="<u8").tobytes())
    manifest = LabelManifest(
        schema_version=SCHEMA_VERSION,
        documents=len(ends),
        names=names,
        counts=np.bincount(numbers, minlength=len(names)).tolist(),
        not_single=not_single,
        labels_sha256=file_sha256(folder / NUMBERS),
        ends_sha256=file_sha256(folder / ENDS),
    )
    text = json.dumps(asdict(manifest), indent=1) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return manifest


def label_file_problem(folder: Path) -> str | None:
    """One line on why `folder` holds no sound label file, or None."""
    return manifest_problem(folder, _read_manifest, SCHEMA_VERSION)
