"""The checkpoints of a run on disk: written whole or not at all, and known to be unharmed.

manifest.json lists, for each file name, the SHA-256 of every state that may lie under it. A new
state is listed before it takes the name, so that no moment of a kill leaves a valid file unknown.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from loomlab.errors import InputError

log = logging.getLogger("loomlab")
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
MANIFEST = "manifest.json"
PARTIAL = ".partial"
SCRATCH = f".scratch{PARTIAL}"


@dataclass(frozen=True)
class Saved:
    """A valid checkpoint: where it is, and after how many optimizer steps it was taken."""

    path: Path
    step: int


class CheckpointStore:
    """Reads and writes the checkpoints folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def partial(self, name: str) -> Path:
        """Where a state is written before it takes its name."""
        return self.folder / f".{name}{PARTIAL}"

    @contextmanager
    def writing(self, writes: bool) -> Iterator[None]:
        """Keep Lightning's temporary files on the disk of the checkpoints, and clean up.

        Elsewhere, taking the name would be a copy, which a full disk can cut short.
        """
        if not writes:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        before, scratch = tempfile.tempdir, self.folder / SCRATCH
        scratch.mkdir(exist_ok=True)
        tempfile.tempdir = str(scratch)
        try:
            yield
        except OSError:
            self.clean()
            raise
        finally:
            tempfile.tempdir = before
            shutil.rmtree(scratch, ignore_errors=True)

    def commit(self, name: str, step: int) -> None:
        """Give a written partial file its name; the last state before it is kept as well."""
        partial = self.partial(name)
        _sync(partial)
        entries = self._entries()
        known = {"sha256": _digest(partial), "bytes": partial.stat().st_size, "step": step}
        entries.setdefault(name, []).append(known)
        if name == LAST and (self.folder / LAST).is_file():
            entries[PREVIOUS] = [*entries.get(PREVIOUS, [])[-1:], *entries[LAST][-2:-1]]
            self._write(entries)
            (self.folder / LAST).replace(self.folder / PREVIOUS)
        else:
            self._write(entries)
        partial.replace(self.folder / name)
        _sync(self.folder)
        self._write({n: e[-1:] if n == name else e for n, e in entries.items()})

    def clean(self) -> None:
        """Remove what a killed process left half-written."""
        for path in self.folder.glob(f".*{PARTIAL}*"):
            log.info("removed the unfinished %s", path.name)
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def newest(self) -> Saved | None:
        """The valid checkpoint of the most steps; says which damaged ones were passed over."""
        found = []
        for name in (LAST, PREVIOUS, BEST):
            path = self.folder / name
            if not path.is_file():
                continue
            step = self.step_of(name)
            if step is None:
                log.warning("%s is damaged (its SHA-256 is not in %s)", path, MANIFEST)
            else:
                found.append(Saved(path, step))
        return max(found, key=lambda s: s.step, default=None)

    def resumable(self, resume: str) -> Saved:
        """The same for a run that is to go on, as `resume=` names it.

        Raises:
            InputError: there is none.
        """
        newest = self.newest()
        if newest is None:
            raise InputError(
                f"resume={resume}: no valid checkpoint is in {self.folder}; start it afresh with "
                "another paths.output_dir"
            )
        return newest

    def step_of(self, name: str) -> int | None:
        """Steps of a checkpoint, if its content is one that was written; else None."""
        path = self.folder / name
        if not path.is_file():
            return None
        size, digest = path.stat().st_size, None
        for entry in self._entries().get(name, []):
            if entry["bytes"] != size:
                continue
            digest = digest or _digest(path)
            if entry["sha256"] == digest:
                return int(entry["step"])
        return None

    def _entries(self) -> dict[str, list[dict[str, Any]]]:
        path = self.folder / MANIFEST
        if not path.is_file():
            return {}
        try:
            entries: dict[str, list[dict[str, Any]]] = json.loads(path.read_text("utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError):
            log.warning("%s is damaged: no checkpoint can be trusted", path)
            return {}
        return entries

    def _write(self, entries: dict[str, list[dict[str, Any]]]) -> None:
        path = self.folder / MANIFEST
        partial = self.partial(MANIFEST)
        partial.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
        _sync(partial)
        partial.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, its tensors read when they are used; no code in it is run.

    Raises:
        InputError: it holds more than numbers and settings, or is no checkpoint at all.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise InputError(
            f"{path} is refused: it is no checkpoint, or holds more than numbers and settings, "
            "and loading that could run code; use another run or start afresh"
        ) from error
    if not isinstance(state, dict) or "state_dict" not in state:
        raise InputError(f"{path} is refused: it is no checkpoint of a run")
    return state


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Make sure that a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
