"""Which files a path means, and what is wrong with it."""

import difflib
import errno
import glob
import os
from pathlib import Path
from typing import Any

from loomlab.errors import InputError
from loomlab.home import at_home
from loomlab.text.reading import tell_once
from loomlab.text.tree import each_once, files_below, files_of_glob, hidden

SHOWN = 4  # names of files that a message spells out
SEPARATED = "give the line that ends a document, such as '<|endoftext|>', or null"
TXT = (".txt", ".txt.gz")
KINDS = (*TXT, ".jsonl", ".jsonl.gz", ".parquet")


def corpus_files(path: str, kinds: tuple[str, ...] = KINDS, key: str = "path") -> list[Path]:
    """The files of a file, folder (searched through) or glob, sorted; InputError when none.

    Links are followed, a file with several names is read once.
    kinds: ends of the names that count, in any case; key: the setting that holds the path.
    """
    problems = files_problems(path, kinds, key)
    if problems:
        raise InputError(f"corpus.{problems[0]}")
    return _sorted_out(path, kinds)[0]


def tell_left_out(path: str, kinds: tuple[str, ...] = KINDS, key: str = "path") -> None:
    """Say in one line, once, which files of a folder or glob `corpus_files` does not take."""
    if others := _sorted_out(path, kinds)[1]:
        some = ", ".join(file.name for file in others[:SHOWN]) + ", ..." * (len(others) > SHOWN)
        tell_once(
            f"corpus.{key}={path}: {len(others):,} files left out, hidden or not one of "
            f"{', '.join(kinds)}: {some}"
        )


def path_problems(settings: dict[str, Any]) -> list[str]:
    """What is wrong with the settings of corpus=text, as "path: what"; empty when nothing.

    Looks at names, links, sizes and permissions, not into files. Needs no heavy import.
    """
    path, separator = str(settings.get("path") or ""), settings.get("document_separator")
    found = files_problems(path, KINDS, "path")
    if separator is None:
        return found
    if not str(separator).strip() or len(str(separator).splitlines()) > 1:
        return [*found, f"document_separator: {separator!r} is not a line with text: {SEPARATED}"]
    files = [] if found else _sorted_out(path, KINDS)[0]
    if files and not any(file.name.lower().endswith(TXT) for file in files):
        return [f"document_separator: {path} has no .txt file, and a row is a document: drop it"]
    return found


def files_problems(path: str, kinds: tuple[str, ...], key: str) -> list[str]:
    """As `path_problems`, for files of other `kinds` and the setting `key`."""
    if not path:
        some = ", ".join(kind for kind in kinds if not kind.endswith(".gz"))
        return [f"{key}: nothing is set: give a {some} file, a folder or a glob"]
    if not glob.has_magic(path) and (fault := _missing(at_home(path), kinds)):
        return [f"{key}: {fault}"]
    try:
        files, _ = _sorted_out(path, kinds)
    except InputError as error:
        return [f"{key}: {error}"]
    if not files:
        kind = "matches" if glob.has_magic(path) else "contains"
        return [f"{key}: {path} {kind} no {', '.join(kinds)} file: point it to some"]
    problems = [f"{key}: {fault}" for file in files if (fault := _unreadable(file))]
    if not problems and all(file.stat().st_size == 0 for file in files):
        problems = [f"{key}: {path} is empty (0 bytes): point to a file with text"]
    return problems


def _missing(path: Path, kinds: tuple[str, ...]) -> str | None:
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return f"{path} is a symbolic link that leads back to itself: fix the link"
        if path.is_symlink():
            return f"{path} is a symbolic link to a missing file: fix the link"
        if error.errno == errno.EACCES:
            return f"{path} may not be read: change its permissions"
        return f"{path} does not exist{_suggestion(path)}"
    if not path.is_dir() and not path.is_file():
        return _unreadable(path)
    if path.is_file() and not path.name.lower().endswith(kinds):
        return f"{path} is not one of {', '.join(kinds)}: rename or convert it"
    return None


def _suggestion(path: Path) -> str:
    parent = path.absolute().parent
    if not parent.is_dir():
        return f", nor does its folder {parent}"
    near = difflib.get_close_matches(path.name, os.listdir(parent), n=1)
    return f": did you mean {path.parent / near[0]}?" if near else f": nothing like it in {parent}"


def _sorted_out(path: str, kinds: tuple[str, ...]) -> tuple[list[Path], list[Path]]:
    """The files of these kinds that a path means, each once, and those it leaves out.

    A folder means what the glob FOLDER/**/* does: no hidden file, unless it is named.
    """
    root = at_home(path)
    named = not root.is_dir()
    every = files_of_glob(str(root)) if named else files_below(root)
    if named and root.exists():  # perhaps with a bracket in its name
        every = [root]
    wanted = {f for f in every if f.name.lower().endswith(kinds) and (named or not hidden(f))}
    return sorted(each_once(wanted)), [file for file in every if file not in wanted]


def _unreadable(file: Path) -> str | None:
    if not file.exists():
        return f"{file} is a broken or circular symbolic link: fix or remove it"
    if not file.is_file():  # reading it could wait, or go on, for ever
        return f"{file} is a pipe, a device or a socket: give a file that holds the text"
    return None if os.access(file, os.R_OK) else f"{file} may not be read: change its permissions"
