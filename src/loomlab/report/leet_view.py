"""Runs in a terminal: `wandb leet` on what logger=wandb left in the run folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from loomlab.errors import InputError
from loomlab.run.folder import find_runs

KINDS = ("offline-run-*", "run-*")


def wandb_folders(folder: Path) -> list[Path]:
    """The folders in which the W&B client recorded runs at or below a folder."""
    places = [run.path / "wandb" for run in find_runs(folder)]
    found = [path for place in places for kind in KINDS for path in sorted(place.glob(kind))]
    return [path for path in found if any(path.glob("*.wandb"))]


def gather(folders: list[Path], view: Path) -> None:
    """Links to all of them side by side, the layout that `wandb leet` reads several runs from."""
    view.mkdir(parents=True, exist_ok=True)
    for path in folders:
        link = view / path.name
        if not link.exists():
            link.symlink_to(path.resolve(), target_is_directory=True)


def show_leet(folder: Path) -> int:
    """Run `wandb leet` until the user leaves it; its exit code.

    Raises:
        InputError: there is nothing to show, or no terminal to show it in.
    """
    folders = wandb_folders(folder)
    if not folders:
        raise InputError(
            f"no run in {folder} was logged by W&B: train with logger=wandb, or use --view report"
        )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("--view leet needs a terminal: run it in one, or use --view report")
    with TemporaryDirectory(prefix="loom-leet-") as place:
        view = Path(place) / "wandb"
        gather(folders, view)
        print(f"wandb leet: {len(folders)} runs of {folder} (q leaves it)", flush=True)
        return subprocess.run([sys.executable, "-m", "wandb", "leet", str(view)]).returncode
