"""One process at a time runs a folder: two would write each other's records and checkpoints."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from loomlab.errors import InputError

RUNNING = ".running"  # who runs the folder; the lock on it ends with that process, however it ends
TAKEN = (errno.EACCES, errno.EAGAIN)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """While it lasts, no other process runs this folder.

    A lock of the process itself: what it forks does not hold it. Where the file system knows no
    locks, nothing is held.

    Raises:
        InputError: another process runs it, which is named.
    """
    with _locked(folder) as file:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)


def require_alone(folder: Path) -> None:
    """Refuse a folder that another process runs now.

    Raises:
        InputError: one does, which is named.
    """
    if (folder / RUNNING).is_file():
        with _locked(folder):
            pass


@contextmanager
def _locked(folder: Path) -> Iterator[IO[str]]:
    with open(folder / RUNNING, "a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in TAKEN:
                file.seek(0)
                raise InputError(
                    f"{folder} is being run by {file.read() or 'another process'}: wait for its "
                    "end or stop it, or give another folder"
                ) from error
        yield file
