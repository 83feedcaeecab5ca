"""Reading metrics.csv; imports nothing heavy, for tools that read many runs."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

COST_COLUMNS = ("step", "tokens", "flops", "seconds")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics.csv as numbers; empty cells are left out."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {k: _number(v) for k, v in row.items() if v not in ("", None)}
            for row in csv.DictReader(file)
        ]


def read_so_far(path: Path) -> list[dict[str, Any]]:
    """The rows of a run that may be writing: without the line begun, and cells of no number.

    No file is no rows.
    """
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    names, *rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines())) or [[]]
    return [as_numbers(names, row) for row in rows if len(row) == len(names)]


def as_numbers(names: list[str], row: list[str]) -> dict[str, Any]:
    """The cells of a row that are numbers, by their columns."""
    found = {}
    for name, cell in zip(names, row, strict=True):
        try:
            found[name] = _number(cell)
        except ValueError:
            continue
    return found


def _number(text: str) -> float:
    value = float(text)
    return int(value) if math.isfinite(value) and value == int(value) else value
