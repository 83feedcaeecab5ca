"""Folders that are built once: locked against concurrent processes, atomic against a kill."""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from loomlab.errors import InputError
from loomlab.home import at_home

log = logging.getLogger("loomlab.text")


def default_cache_dir() -> Path:
    """The folder for packages, tokenizers and token files: $LOOM_CACHE, else ~/.cache/loomlab."""
    return at_home(os.environ.get("LOOM_CACHE") or "~/.cache/loomlab").absolute()


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel drops it when the process dies."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    except OSError as error:
        raise _refusal(path.parent, error) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process that builds %s", path.with_suffix("").name)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _refusal(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"cache folder {folder} cannot be written ({error.strerror}): "
        "set the environment variable LOOM_CACHE to a folder that can"
    )


@contextlib.contextmanager
def _of_another_user(folder: Path) -> Iterator[None]:
    """A cache may be there for others alone, or hold what they alone may remove."""
    try:
        yield
    except PermissionError as error:
        raise _refusal(folder.parent, error) from error


def build_once(
    folder: Path, build: Callable[[Path], None], problem: Callable[[Path], str | None]
) -> Path:
    """Return `folder`, built first if it is missing or `problem(folder)` names a fault.

    `build` fills an empty folder beside the final one, which is renamed when all is on disk: a
    reader sees a complete folder or none. Of several processes one builds, the others wait.
    Raises InputError when the cache cannot be written or the disk is full.
    """
    with _of_another_user(folder):
        if folder.is_dir() and problem(folder) is None:
            return folder
    with file_lock(folder.parent / f"{folder.name}.lock"):
        if folder.is_dir():
            fault = problem(folder)
            if fault is None:
                return folder
            log.warning("rebuilding %s: %s", folder, fault)
            with _of_another_user(folder):
                shutil.rmtree(folder)
        _build(folder, build)
    return folder


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    temporary = folder.parent / f"{folder.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # what a killed process left; we hold the lock
    try:
        temporary.mkdir()
        build(temporary)
        _sync(temporary)
        temporary.rename(folder)
        _sync_one(folder.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"no space left for {folder}: free some, or set the environment variable "
                "LOOM_CACHE to a folder on a larger disk"
            ) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Flush files to disk before the rename, or a power cut could publish empty files."""
    for path in (*folder.rglob("*"), folder):
        _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
