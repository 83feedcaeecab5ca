"""The numbers of documents: what they are called, how they are spread, and what is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from loomlab.errors import InputError

SHOWN = 40  # characters of a value that a message spells out
LARGEST = 1e30  # of 32-bit floats some room is left for what is computed of it
FINEST = 1e-4  # of the mean: a smaller spread is lost in 32-bit floats


@dataclass(frozen=True)
class RowNumbers:
    """Numbers of one document, and where that is."""

    values: tuple[float, ...]
    place: str  # such as "essays.csv, line 3"


@dataclass(frozen=True)
class Spread:
    """Of each number of a row: its name, its mean and its standard deviation in training rows."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def read_numbers(value: Any, key: str, separator: str | None, place: str) -> tuple[float, ...]:
    """The numbers of a row: one, a list of them, or a text with the separator between them.

    Raises:
        InputError: there is none, or something else.
    """
    parts = value.split(separator) if isinstance(value, str) and separator else value
    found = tuple(_number(v, key, place) for v in (parts if isinstance(parts, list) else [parts]))
    if not found:
        raise _missing(key, place)
    return found


def _missing(key: str, place: str) -> InputError:
    return InputError(
        f'{place}: no number at "{key}": give the row one or leave it out, or set '
        "corpus.label_key to another key"
    )


def _number(value: Any, key: str, place: str) -> float:
    if value is None or not str(value).strip():
        raise _missing(key, place)
    try:
        number = float(value) if _may_be_number(value) else None
    except (ValueError, OverflowError):
        number = None
    shown = str(value)[:SHOWN]
    if number is None:
        raise InputError(
            f"{place}: '{shown}' at \"{key}\" is no number{_hint(value)}: fix the row, or use "
            "objective=classification if these are names"
        )
    if not abs(number) <= LARGEST:
        raise InputError(
            f'{place}: {shown} at "{key}" is no number that can be learned: fix the row or leave '
            f"it out (numbers are finite and at most {LARGEST:g})"
        )
    return number


def _may_be_number(value: Any) -> bool:
    """Not true and false, nor what Python alone writes so."""
    if isinstance(value, str):
        return "_" not in value
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _hint(value: Any) -> str:
    """How a decimal comma is to be written."""
    whole, comma, part = str(value).strip().partition(",")
    written = comma and whole.lstrip("+-").isdecimal() and part.isdecimal()
    return f" (write {whole}.{part})" if written else ""


class _Columns:
    """Mean and deviation of each number, row by row (Welford 1962)."""

    def __init__(self, width: int) -> None:
        self.rows, self.mean, self.squares = 0, [0.0] * width, [0.0] * width

    def add(self, values: Sequence[float]) -> None:
        self.rows += 1
        for place, value in enumerate(values):
            off = value - self.mean[place]
            self.mean[place] += off / self.rows
            self.squares[place] += off * (value - self.mean[place])

    @property
    def deviation(self) -> list[float]:
        return [math.sqrt(square / self.rows) for square in self.squares]


def settle_numbers(
    train: Iterable[RowNumbers],
    validation: Iterable[RowNumbers],
    given: Sequence[str] = (),
    key: str = "label",
) -> Spread:
    """What the numbers of all rows are called, and how those of the training rows are spread.

    given: their names, in the order of a row; else they are called after the key. Both splits are
    read to the end, so every fault is found here.

    Raises:
        InputError: rows with unlike many numbers, names for more or fewer, or numbers that are
            all the same, or too near to each other to be told apart.
    """
    if len(set(given)) != len(given):
        raise InputError(f"corpus.labels=[{','.join(given)}]: a name is there twice: drop one")
    columns, place, first = None, "corpus", None
    for row in train:
        first = first or row
        _require_width(row, first, given)
        columns = columns or _Columns(len(row.values))
        columns.add(row.values)
        place = row.place
    for row in validation:
        _require_width(row, first or row, given)
    if columns is None:
        raise InputError("corpus: no training row has a text: give rows of a text and a number")
    names = tuple(given) or _names(key, len(columns.mean))
    spread = Spread(names, tuple(columns.mean), tuple(columns.deviation))
    for name, mean, deviation in zip(names, spread.mean, spread.deviation, strict=True):
        _require_spread(place.rpartition(", ")[0] or place, columns.rows, name, mean, deviation)
    return spread


def _require_width(row: RowNumbers, first: RowNumbers, given: Sequence[str]) -> None:
    if given and len(given) != len(row.values):
        raise InputError(
            f"{row.place}: {_count(row)}, where corpus.labels=[{','.join(given)}] names "
            f"{len(given)}: name as many as a row has, or leave corpus.labels out"
        )
    if len(row.values) != len(first.values):
        raise InputError(
            f"{row.place}: {_count(row)}, where {first.place} has {len(first.values)}: give each "
            "row as many"
        )


def _count(row: RowNumbers) -> str:
    return "1 number" if len(row.values) == 1 else f"{len(row.values)} numbers"


def _names(key: str, width: int) -> tuple[str, ...]:
    return (key,) if width == 1 else tuple(f"{key}_{n}" for n in range(1, width + 1))


def _require_spread(place: str, rows: int, name: str, mean: float, deviation: float) -> None:
    if deviation == 0:
        raise InputError(
            f'{place}: the number "{name}" of all {rows:,} training rows is {mean:g}, so there is '
            "nothing to learn: give rows of unlike numbers, or set corpus.label_key to another key"
        )
    if deviation < FINEST * abs(mean) or deviation < 1 / LARGEST:
        raise InputError(
            f'{place}: the numbers "{name}" are {mean:.9g} give or take {deviation:.2g}, which '
            "32-bit floats cannot tell apart: give them as differences from a number near them, "
            "in a unit of their size"
        )
