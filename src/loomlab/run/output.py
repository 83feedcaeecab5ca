"""The place a run is written to: probed before any work, and left as it was by a refused run."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loomlab.errors import InputError
from loomlab.run.folder import CONFIG, OVERRIDES, SUMMARY

PROBE = bytes(1 << 18)  # what configs, logs and metrics of a short run take
FULL = (errno.ENOSPC, errno.EDQUOT)
LOG = "train.log"
STARTED_WITH = {CONFIG, OVERRIDES, SUMMARY, LOG, "checkpoints", "tokenizer"}
RECORDS = (CONFIG, OVERRIDES, SUMMARY)
log = logging.getLogger("loomlab")


def probe(folder: Path, key: str) -> None:
    """Make sure that `folder`, given as `key`, can be made and written to.

    Raises:
        InputError: it cannot, with the reason; nothing is left behind.
    """
    place = folder
    try:
        place = _nearest(folder)
        with tempfile.TemporaryFile(dir=place, buffering=0) as file:
            if file.write(PROBE) < len(PROBE):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        what = f"{place} is a file" if os.path.isfile(place) else f"{place}: {error.strerror}"
        raise InputError(
            f"{key}={folder} cannot be written ({what}): free space or give another folder"
        ) from error


def _nearest(folder: Path) -> Path:
    """The folder itself or the closest one above it that is there; OSError if nobody may look."""
    for place in (folder.absolute(), *folder.absolute().parents):
        with suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(place)
            return place
    return Path("/")


def require_space(folder: Path, weights: int, saved_states: int) -> None:
    """Refuse a run whose weights alone do not fit on the disk as often as they will be there.

    weights: bytes; saved_states: how many checkpoints lie there at once. What is there already
    will be replaced and counts as free. Adam's state makes a checkpoint three times its weights:
    less room than for that is a warning.
    """
    there = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    free = shutil.disk_usage(folder).free + there
    if free < weights * (saved_states + 1):
        raise InputError(
            f"paths.output_dir={folder}: {free / 1e6:,.0f} MB are free, the checkpoints and the "
            f"model need at least {weights * (saved_states + 1) / 1e6:,.0f} MB: free some, or "
            "give a folder on another disk"
        )
    if free < weights * (3 * saved_states + 1):
        log.warning("%s has only %s MB free for checkpoints", folder, f"{free / 1e6:,.0f}")


@contextmanager
def withdrawn_when_refused(folder: Path) -> Iterator[None]:
    """Remove a run folder that was made inside this block if the block ends in a refusal.

    Only folders that were not there before go, and only if nothing but the files of a start is
    in them; of a folder that was there, the files it had are kept.
    """
    made = [p for p in (folder.absolute(), *folder.absolute().parents) if not os.path.lexists(p)]
    before = set(os.listdir(folder)) if folder.is_dir() else set()
    try:
        yield
    except (InputError, SystemExit) as end:
        if getattr(end, "code", 2) == 2 and folder.is_dir():
            _withdraw(folder, before, made)
        raise


def _withdraw(folder: Path, before: set[str], made: list[Path]) -> None:
    checkpoints = folder / "checkpoints"
    started = {p.name for p in folder.iterdir()} - before
    if not started <= STARTED_WITH or (checkpoints.is_dir() and any(checkpoints.iterdir())):
        return
    for name in started:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in made:
        if any(path.iterdir()):
            return
        path.rmdir()


@contextmanager
def restored_when_refused(folder: Path) -> Iterator[None]:
    """Give a run that is not resumed after all its own records back."""
    records = {n: (folder / n).read_bytes() for n in RECORDS if (folder / n).is_file()}
    try:
        yield
    except InputError:
        for name, content in records.items():
            (folder / name).write_bytes(content)
        raise
