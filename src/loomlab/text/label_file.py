"""The labels of one split on disk, beside its token file: numbers, row ends and a manifest."""

# Shapes: D documents, N labels of all of them, B rows, C label names.

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from loomlab.text.cache import build_once
from loomlab.text.class_labels import RowLabels, resolve, settle_names
from loomlab.text.prepare import SPLITS, content_key
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

    def multi_hot(self, documents: Sequence[int]) -> np.ndarray:
        """Ones where a document has a label, (B, C) float32."""
        hot_BC = np.zeros((len(documents), len(self.manifest.names)), dtype=np.float32)
        for row, document in enumerate(documents):
            start = self.ends[document - 1] if document else 0
            hot_BC[row, self.numbers[start : self.ends[document]]] = 1.0
        return hot_BC


def _read_manifest(folder: Path) -> LabelManifest:
    return LabelManifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def cached_label_files(
    cache_dir: Path,
    fingerprint: str,
    documents: Callable[[str], Iterator[str]],
    labels: Callable[[str], Iterator[RowLabels]],
    given: Sequence[str],
) -> tuple[LabelFile, LabelFile]:
    """The label files (train, validation) of these documents, written first if need be.

    Labels of blank documents are dropped, as their tokens are. given: the names of the labels.
    Raises InputError for labels that cannot be learned; see `settle_names`.
    """

    def build(folder: Path) -> None:
        names = settle_names(labels("train"), labels("validation"), given)
        for split in SPLITS:
            (folder / split).mkdir()
            pairs = zip(documents(split), labels(split), strict=True)
            write_label_file(folder / split, (r for text, r in pairs if text.strip()), names)

    def problem(folder: Path) -> str | None:
        faults = (label_file_problem(folder / split) for split in SPLITS)
        return next((fault for fault in faults if fault), None)

    key = content_key(fingerprint, "labels", list(given), SCHEMA_VERSION)
    folder = build_once(cache_dir / "labels" / key, build, problem)
    train, validation = (LabelFile(folder / split) for split in SPLITS)
    return train, validation


def write_label_file(folder: Path, rows: Iterable[RowLabels], names: list[str]) -> LabelManifest:
    """Write the labels of documents, in order, into an existing folder; the manifest last."""
    numbers: list[int] = []
    ends: list[int] = []
    not_single = ""
    for row in rows:
        own = sorted(set(resolve(row, names)))
        numbers += own
        if not not_single and len(own) != 1:
            not_single = f"{row.place}: {len(own)} labels"
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
    try:
        manifest = _read_manifest(folder)
        found = [file_sha256(folder / name) for name in (NUMBERS, ENDS)]
    except (OSError, ValueError, TypeError) as error:
        return f"{folder.name}: label manifest or data unreadable ({error})"
    if manifest.schema_version != SCHEMA_VERSION:
        return f"{folder.name}: labels written for another format"
    if found != [manifest.labels_sha256, manifest.ends_sha256]:
        return f"{folder.name}: checksum of the labels differs from the manifest"
    return None
