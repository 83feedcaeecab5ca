"""Runs as rows: what differs between them, and who is ahead."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table

from loomlab.report.collect import collect
from loomlab.report.row import Row
from loomlab.report.settings import differing, shown
from loomlab.report.sheet import Sheet, markdown, rich_sheet
from loomlab.run.ledger import DONE

COLUMNS = {
    "val/bits_per_byte": "bits/byte",
    "val/perplexity": "perplexity",
    "val/accuracy": "accuracy",
    "val/f1": "F1",
    "val/matthews": "Matthews",
    "val/rmse": "RMSE",
    "val/spearman": "Spearman",
}
LIKELIHOOD = tuple(COLUMNS)[:3]  # those of runs that predict text


def rank_key(row: Row, metric: str) -> tuple[bool, bool, bool, bool, float]:
    """Runs that predict labels or numbers stand apart, ranked by their own; so do masked ones.

    Those whose tokens do not carry their text come last, without a rank.
    """
    if row.labels:
        metric = row.metric or "val/accuracy"
    sign = -1.0 if row.prefers_more(metric) else 1.0
    value = sign * row.best.get(metric, sign * math.inf)
    return row.unread > 0, row.labels, row.numbers, row.pseudo, value


def finished_rows(folders: Iterable[Path], metric: str = "val/bits_per_byte") -> list[Row]:
    """Finished runs below some folders, the best first: text before masked text before labels."""
    rows = [r for r in collect(f for f in folders if f.is_dir()) if r.state == DONE]
    return sorted(rows, key=lambda r: rank_key(r, metric))


def differing_axes(rows: list[Row]) -> list[str]:
    """Axes on which the runs do not all agree; an axis that a model ignores is no difference."""
    axes = {axis for row in rows for axis in row.choice}
    return [key for key in differing([row.settings for row in rows]) if key in axes]


def measured(rows: list[Row]) -> tuple[str, ...]:
    """The held-out numbers that any of the runs has, in the order of their columns."""
    return tuple(k for k in COLUMNS if any(k in r.best for r in rows)) or LIKELIHOOD


def cells(row: Row, axes: list[str], metrics: Iterable[str] = LIKELIHOOD) -> list[str]:
    """A run's cells: what it chose, its numbers ("-" for none), and what it cost."""
    picks = options(row, axes)
    numbers = [f"{row.best[k]:.4g}" if k in row.best else "-" for k in metrics]
    summary = row.summary
    cost = [
        f"{summary['parameters']:,}",
        f"{summary['tokens']:,}",
        f"{summary['training_seconds']:.0f}",
    ]
    return [*picks, *numbers, *cost]


def options(row: Row, axes: list[str]) -> list[str]:
    """What a run chose on some axes; "-" where its model brings the axis itself."""
    return ["-" if a in row.owns else shown(row.choice.get(a)) for a in axes]


def headings(axes: list[str], metrics: Iterable[str] = LIKELIHOOD) -> list[str]:
    """Column headings that go with `cells`."""
    return [*axes, *(COLUMNS[k] for k in metrics), "params", "tokens", "seconds"]


def rich_table(rows: list[Row], title: str, axes: list[str]) -> Table:
    """The ranking for the screen."""
    ranked = _sheet(rows, title, axes)
    ranked.headings.insert(0, "rank")
    for rank, (row, line) in enumerate(zip(rows, ranked.rows, strict=True), start=1):
        line.insert(0, "-" if row.unread else str(rank))
    return rich_sheet(ranked)


def markdown_table(rows: list[Row], axes: list[str]) -> str:
    """The ranking for a README."""
    return markdown(_sheet(rows, "", axes))


def _sheet(rows: list[Row], title: str, axes: list[str]) -> Sheet:
    metrics = measured(rows)
    return Sheet(title, headings(axes, metrics), [cells(row, axes, metrics) for row in rows])
