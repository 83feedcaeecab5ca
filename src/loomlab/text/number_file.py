"""The numbers of one split on disk, beside its token file, and a manifest of what they are."""

# Shapes: D documents, B rows, C numbers of a row.

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from loomlab.text.label_set import LabelSet
from loomlab.text.numbers import RowNumbers, Spread, settle_numbers
from loomlab.text.prepare import content_key
from loomlab.text.split_files import cached_splits, manifest_problem, of_solid
from loomlab.text.token_file import file_sha256

SCHEMA_VERSION = 1
VALUES, MANIFEST = "numbers.bin", "numbers.json"


@dataclass(frozen=True)
class NumberManifest:
    """What numbers.bin must hold, and the spread of the training rows."""

    schema_version: int
    documents: int
    names: list[str]
    mean: list[float]
    deviation: list[float]
    labels_sha256: str

    def sums(self) -> dict[str, str]:
        """The SHA-256 of each file."""
        return {VALUES: self.labels_sha256}

    def label_set(self, row_length: int) -> LabelSet:
        """What an objective is told of numbers of which these are the training rows."""
        counts = (self.documents,) * len(self.names)
        told = Spread(tuple(self.names), tuple(self.mean), tuple(self.deviation))
        return LabelSet(told.names, counts, self.documents, row_length, spread=told)


class NumberFile:
    """Read-only numbers, (D, C) float64."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.manifest = _read_manifest(self.folder)
        values = np.fromfile(self.folder / VALUES, dtype="<f8").astype(np.float64)
        self.values = values.reshape(self.manifest.documents, len(self.manifest.names))

    def __len__(self) -> int:
        return self.manifest.documents

    def __reduce__(self) -> tuple[type[NumberFile], tuple[Path]]:
        return NumberFile, (self.folder,)

    def targets(self, documents: Sequence[int]) -> np.ndarray:
        """The numbers of some documents, (B, C) float64."""
        chosen: np.ndarray = self.values[list(documents)]
        return chosen


def _read_manifest(folder: Path) -> NumberManifest:
    return NumberManifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def cached_number_files(
    cache_dir: Path,
    fingerprint: str,
    documents: Callable[[str], Iterator[str]],
    numbers: Callable[[str], Iterator[RowNumbers]],
    given: Sequence[str],
    label_key: str,
) -> tuple[NumberFile, NumberFile]:
    """The number files (train, validation) of these documents, written first if need be.

    Numbers of blank documents are dropped, as their tokens are. given: the names of the numbers.
    Raises InputError for numbers that cannot be learned; see `settle_numbers`.
    """

    def solid(split: str) -> Iterator[RowNumbers]:
        return of_solid(documents(split), numbers(split))

    def build(folders: dict[str, Path]) -> None:
        spread = settle_numbers(solid("train"), solid("validation"), given, label_key)
        for split, folder in folders.items():
            write_number_file(folder, solid(split), spread)

    key = content_key(fingerprint, "numbers", list(given), SCHEMA_VERSION)
    train, validation = cached_splits(cache_dir / "labels" / key, build, number_file_problem)
    return NumberFile(train), NumberFile(validation)


def write_number_file(folder: Path, rows: Iterable[RowNumbers], spread: Spread) -> NumberManifest:
    """Write the numbers of documents, in order, into an existing folder; the manifest last."""
    values = [row.values for row in rows]
    (folder / VALUES).write_bytes(np.asarray(values, dtype="<f8").tobytes())
    manifest = NumberManifest(
        schema_version=SCHEMA_VERSION,
        documents=len(values),
        names=list(spread.names),
        mean=list(spread.mean),
        deviation=list(spread.deviation),
        labels_sha256=file_sha256(folder / VALUES),
    )
    text = json.dumps(asdict(manifest), indent=1) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return manifest


def number_file_problem(folder: Path) -> str | None:
    """One line on why `folder` holds no sound number file, or None."""
    return manifest_problem(folder, _read_manifest, SCHEMA_VERSION)
