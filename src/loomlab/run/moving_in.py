"""A new run has its folder to itself: another run's records are never taken for its own."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

from loomlab.errors import InputError
from loomlab.quoting import to_type
from loomlab.run.alone import require_alone
from loomlab.run.folder import CONFIG, make_private

NOT_OURS = ("console.log",)  # whoever started the run writes there what it says
STATES = "checkpoints/manifest.json"  # as in loomlab.callbacks.store, which loads torch


def inhabited(folder: Path) -> bool:
    """Whether a run is in a folder, or states of one whose config is gone."""
    return any((folder / name).is_file() for name in (CONFIG, STATES))


def refuse_inhabited(folder: Path) -> None:
    """Refuse a folder in which another run is.

    Raises:
        InputError: naming the ways to go on with it, or without it.
    """
    if inhabited(folder):
        raise InputError(
            f"paths.output_dir={folder} holds a run already: go on with it by "
            f"`loom train {to_type('resume', folder)}`, give another folder, or add "
            "overwrite=true to remove it first"
        )


def clear(folder: Path) -> None:
    """Remove a run, if there is one, with all that it has written.

    Raises:
        InputError: another process runs it now.
    """
    if not inhabited(folder):
        return
    require_alone(folder)
    for path in sorted(folder.iterdir(), key=lambda path: path.name == CONFIG):
        if path.name in NOT_OURS:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()  # the config last: while anything is left, a run is there


def claim(folder: Path, overwrite: bool) -> None:
    """Remove the run that is in a folder, or refuse the folder."""
    if overwrite:
        clear(folder)
    refuse_inhabited(folder)


def move_in(folder: Path, named: bool, overwrite: bool) -> Path:
    """The folder of a run, made; where none was `named`, one that no other run has.

    Raises:
        InputError: it cannot be made.
    """
    if overwrite:
        clear(folder)
    if not named:
        return new_folder(folder)
    make_private(folder)
    return folder


def new_folder(folder: Path) -> Path:
    """Make a folder that was not there; one of a name beside it where another process was first.

    Raises:
        InputError: it cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            candidate = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
            try:
                candidate.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return candidate
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}") from error
    raise AssertionError("there is always another number")
