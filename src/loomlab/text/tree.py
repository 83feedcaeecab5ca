"""Folders below a folder, and the files that a glob means; links are followed, none in circles."""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from loomlab.errors import InputError

DEEP = "**"


def folders_below(root: Path) -> list[Path]:
    """The folder and all below it but hidden ones, each once, by the name with fewest links.

    Raises InputError for a folder that may not be read.
    """
    found: dict[str, Path] = {}
    waiting = deque([root])  # links at the end: what a folder itself holds comes first
    while waiting:
        folder = waiting.popleft()
        if found.setdefault(os.path.realpath(folder), folder) is not folder:
            continue
        inner = [entry for entry in _entries(folder) if _is_folder(entry) and not hidden(entry)]
        waiting.extendleft(Path(entry) for entry in reversed(inner) if not entry.is_symlink())
        waiting.extend(Path(entry) for entry in inner if entry.is_symlink())
    return list(found.values())


def files_below(root: Path) -> list[Path]:
    """The files of `folders_below(root)`, hidden ones and broken links too; sorted."""
    folders = folders_below(root)
    return sorted(Path(e) for folder in folders for e in _entries(folder) if not _is_folder(e))


def files_of_glob(pattern: str) -> list[Path]:
    """The files that a glob matches, each once, sorted; "**" means all folders below."""
    matches = (path for path in _matches(Path(pattern)) if not path.is_dir())
    return sorted(each_once(matches))


def each_once(files: Iterable[Path]) -> list[Path]:
    """The files without further names of a file: its name with fewest links stays."""
    links_of, real = cache(_links), cache(_real)
    chosen: dict[str, Path] = {}
    for file in sorted(files, key=lambda f: (links_of(f.parent) + f.is_symlink(), f)):
        target = real(file) if file.is_symlink() else os.path.join(real(file.parent), file.name)
        chosen.setdefault(target, file)
    return list(chosen.values())


def _real(file: Path) -> str:
    return os.path.realpath(file)


def _links(folder: Path) -> int:
    return sum(map(os.path.islink, (folder, *folder.parents)))


def _matches(pattern: Path) -> Iterator[Path]:
    parts = pattern.parts
    if DEEP not in parts:
        yield from map(Path, glob.glob(str(pattern)))
        return
    at = parts.index(DEEP)
    rest = parts[at + 1 :] or ("*",)
    for root in glob.glob(str(Path(*parts[:at]))):
        for folder in folders_below(Path(root)) if os.path.isdir(root) else ():
            yield from _matches(Path(glob.escape(str(folder)), *rest))


def hidden(file: Path | os.DirEntry[str]) -> bool:
    """Whether a name begins with a dot: what globs leave out."""
    return file.name.startswith(".")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Also a link to one; one that leads nowhere, or in a circle, is a file."""
    return os.path.isdir(entry) if entry.is_symlink() else entry.is_dir()


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be read ({error.strerror}): change its permissions, or "
            "leave it out"
        ) from error
