"""One run of many, by what a user calls it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loomlab.errors import InputError, did_you_mean
from loomlab.report.collect import collect
from loomlab.report.row import Row


def find_run(rows: Sequence[Row], name: str) -> Row:
    """The run of that name, folder, or unmistakable beginning of its folder's name.

    Raises:
        InputError: there is none, or several.
    """
    found = named(rows, name)
    if not found and Path(name).is_dir():
        found = collect([Path(name)])
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(row.name for row in found[:5])
        raise InputError(f"'{name}' may be {len(found)} runs ({several}, ...): give one of them")
    known = did_you_mean(name, [row.name for row in rows], "runs")
    raise InputError(f"there is no run '{name}'; {known}" if known else f"no run '{name}'")


def named(rows: Sequence[Row], name: str) -> list[Row]:
    """Runs of that name or folder; where there are none, those whose folder begins with it."""
    place = Path(name).resolve()
    exact = [
        row for row in rows
        if name in (row.name, row.folder.path.name) or row.folder.path.resolve() == place
    ]  # fmt: skip
    return exact or [row for row in rows if name and row.folder.path.name.startswith(name)]
