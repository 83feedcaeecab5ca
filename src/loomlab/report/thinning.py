"""Curves of metrics.csv small enough for a page: read by column, long ones thinned."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

X_COLUMNS = ("step", "tokens", "flops", "seconds")
KNOTS = 200  # rows of a run that say what its steps had cost; between them it is a straight line
DIGITS = 5  # significant ones: more than a figure can show

Columns = dict[str, np.ndarray]
Curve = tuple[list[int], list[float | None]]


def read_columns(path: Path) -> Columns:
    """The columns of a metrics.csv; NaN where a cell is empty or is no number.

    A run that is still going may be writing its last line: what is there of it is left out.
    """
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    whole = [row for row in rows if len(row) == len(header)]
    cells = zip(*whole, strict=True) if whole else [() for _ in header]
    return {name: np.array([_number(c) for c in column], dtype=float)
            for name, column in zip(header, cells, strict=True)}  # fmt: skip


def _number(text: str) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan


def thinned(count: int, values: np.ndarray) -> np.ndarray:
    """Indices of at most `count` values: the least and the greatest of each stretch, in order.

    A spike of one step survives, as it would not in every n-th value or in means.
    """
    if len(values) <= count:
        return np.arange(len(values))
    kept = {0, len(values) - 1}
    for part in np.array_split(np.arange(1, len(values) - 1), max(1, (count - 2) // 2)):
        known = part[np.isfinite(values[part])]
        if len(known):
            kept |= {int(known[values[known].argmin()]), int(known[values[known].argmax()])}
    return np.array(sorted(kept))


def curves(columns: Columns, points: int) -> dict[str, Curve]:
    """Per metric its steps and values, at most `points` of them.

    What is not finite (a run that diverged) is None, which a figure shows as a gap.
    """
    found: dict[str, Curve] = {}
    for name in logged(columns):
        rows = np.flatnonzero(~np.isnan(columns[name]))
        rows = rows[thinned(points, columns[name][rows])]
        steps = columns["step"][rows].astype(int).tolist()
        found[name] = steps, [rounded(v) for v in columns[name][rows].tolist()]
    return found


def logged(columns: Columns) -> list[str]:
    """The metrics of a run: columns that hold a number and are no cost."""
    names = [name for name in columns if name and name not in X_COLUMNS]
    return [name for name in names if "step" in columns and not np.isnan(columns[name]).all()]


def knots(columns: Columns) -> dict[str, list[float | None]]:
    """A table of what the steps of a run had cost."""
    if not columns or any(name not in columns for name in X_COLUMNS):
        return {name: [] for name in X_COLUMNS}
    whole = np.flatnonzero(np.isfinite(np.stack([columns[n] for n in X_COLUMNS])).all(axis=0))
    rows = whole[
        np.unique(np.linspace(0, max(0, len(whole) - 1), KNOTS).astype(int))[: len(whole)]
    ]
    return {name: [rounded(v, 8) for v in columns[name][rows].tolist()] for name in X_COLUMNS}


def rounded(value: float, digits: int = DIGITS) -> float | None:
    """A number with few digits, whole if it is; None if it is not finite."""
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short == int(short) and abs(short) < 1e15 else short
