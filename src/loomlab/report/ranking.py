"""Runs as rows: what differs between them, and who is ahead."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from loomlab.run.folder import RunFolder, find_runs

# A pseudo-likelihood of masked tokens sees both sides: it cannot be ranked with the others.
PSEUDO = ("mlm",)
COLUMNS = {
    "val/bits_per_byte": "bits/byte",
    "val/perplexity": "perplexity",
    "val/accuracy": "accuracy",
}


@dataclass(frozen=True)
class Row:
    """One finished run."""

    folder: RunFolder
    choice: dict[str, Any]
    best: dict[str, float]
    summary: dict[str, Any]

    @property
    def pseudo(self) -> bool:
        """Whether its likelihood is one of masked tokens."""
        return self.choice["objective"] in PSEUDO


def finished_rows(folders: Iterable[Path], metric: str = "val/bits_per_byte") -> list[Row]:
    """Finished runs below some folders, the best (lowest) first."""
    rows = []
    for run in (r for folder in folders for r in find_runs(folder)):
        summary = run.summary()
        if summary.get("status") == "finished":
            rows.append(Row(run, summary["choice"], summary["best"], summary))
    return sorted(rows, key=lambda r: (r.pseudo, r.best.get(metric, math.inf)))


def differing_axes(rows: list[Row]) -> list[str]:
    """Axes on which the runs do not all agree; an axis that a model ignores is no difference."""
    axes = list(rows[0].choice) if rows else []
    return [a for a in axes if len({str(r.choice[a]) for r in rows if not _ignored(r, a)}) > 1]


def _ignored(row: Row, axis: str) -> bool:
    """Whether the run's model brings this axis itself."""
    return axis in row.summary.get("owns", ())


def cells(row: Row, axes: list[str]) -> list[str]:
    """A run's cells: what it chose, its numbers, and what it cost."""
    picks = options(row, axes)
    numbers = [f"{row.best[k]:.4g}" for k in COLUMNS if k in row.best]
    summary = row.summary
    cost = [
        f"{summary['parameters']:,}",
        f"{summary['tokens']:,}",
        f"{summary['training_seconds']:.0f}",
    ]
    return [*picks, *numbers, *cost]


def options(row: Row, axes: list[str]) -> list[str]:
    """What a run chose on some axes; "-" where its model brings the axis itself."""
    return ["-" if _ignored(row, a) else _text(row.choice.get(a)) for a in axes]


def headings(axes: list[str]) -> list[str]:
    """Column headings that go with `cells`."""
    return [*axes, *COLUMNS.values(), "params", "tokens", "seconds"]


def _text(value: Any) -> str:
    return "+".join(value) or "-" if isinstance(value, list) else str(value)


def rich_table(rows: list[Row], title: str, axes: list[str]) -> Table:
    """The ranking for the screen."""
    table = Table(title=title, title_justify="left")
    for heading in ("rank", *headings(axes)):
        table.add_column(heading, no_wrap=True)
    for rank, row in enumerate(rows, start=1):
        table.add_row(str(rank), *cells(row, axes))
    return table


def markdown_table(rows: list[Row], axes: list[str]) -> str:
    """The ranking for a README."""
    names = headings(axes)
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    lines += [f"| {' | '.join(cells(row, axes))} |" for row in rows]
    return "\n".join(lines)
