"""Files of both splits beside their token files, each with a manifest of what it must hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from loomlab.text.cache import build_once
from loomlab.text.prepare import SPLITS
from loomlab.text.token_file import file_sha256

Row = TypeVar("Row")


class Manifest(Protocol):
    """What is recorded of the files of one split."""

    @property
    def schema_version(self) -> int:
        """The version of its format."""

    def sums(self) -> dict[str, str]:
        """The SHA-256 of each file."""


def of_solid(documents: Iterable[str], rows: Iterable[Row]) -> Iterator[Row]:
    """The rows of documents that are not blank: those alone have tokens."""
    return (row for text, row in zip(documents, rows, strict=True) if text.strip())


def cached_splits(
    folder: Path,
    build: Callable[[dict[str, Path]], None],
    problem: Callable[[Path], str | None],
) -> tuple[Path, Path]:
    """The folders of training and held-out rows, filled first if need be.

    build: fills the empty folders of both splits. problem: what is wrong with that of one.
    """

    def build_all(made: Path) -> None:
        folders = {split: made / split for split in SPLITS}
        for path in folders.values():
            path.mkdir()
        build(folders)

    def first_problem(made: Path) -> str | None:
        faults = (problem(made / split) for split in SPLITS)
        return next((fault for fault in faults if fault), None)

    built = build_once(folder, build_all, first_problem)
    train, validation = (built / split for split in SPLITS)
    return train, validation


def manifest_problem(
    folder: Path, read: Callable[[Path], Manifest], schema_version: int
) -> str | None:
    """One line on why the files of a folder are not those of its manifest, or None."""
    try:
        manifest = read(folder)
        unlike = [
            name for name, sha in manifest.sums().items() if file_sha256(folder / name) != sha
        ]
    except (OSError, ValueError, TypeError) as error:
        return f"{folder.name}: label manifest or data unreadable ({error})"
    if manifest.schema_version != schema_version:
        return f"{folder.name}: labels written for another format"
    if unlike:
        return f"{folder.name}: checksum of the labels differs from the manifest"
    return None
