"""A comparison for other tools: a CSV row per run, JSON, Markdown and LaTeX tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loomlab import strict_json
from loomlab.report.collect import collect
from loomlab.report.comparison import Comparison, Group, compare
from loomlab.report.comparison_sheet import comparison_sheet
from loomlab.report.row import COSTS, Row
from loomlab.report.sheet import Sheet, comma_separated, latex, markdown
from loomlab.run.folder import write_atomically
from loomlab.secrets import masked_text

RESULTS = "results.csv"


def as_csv(comparisons: list[Comparison]) -> str:
    """A row for each run, the best setting's first, with every setting that differs anywhere."""
    keys = list(dict.fromkeys(key for c in comparisons for key in c.keys))
    lines = [(group, row) for c in comparisons for group in c.groups for row in group.rows]
    metrics = list(dict.fromkeys(name for _, row in lines for name in row.best))
    headings = ["rank", "run", "state", *keys, "seed", *metrics, *COSTS, "folder", "message"]
    return comma_separated(headings, [_cells(g, row, keys, metrics) for g, row in lines])


def _cells(group: Group, row: Row, keys: list[str], metrics: list[str]) -> list[str]:
    settings = [row.settings.values.get(key) for key in keys]
    numbers = [row.best.get(name) for name in metrics] + [row.costs.get(name) for name in COSTS]
    cells = [
        group.rank, row.name, row.state, *map(_plain, settings), row.seed, *numbers,
        row.folder.path, row.message,
    ]  # fmt: skip
    return ["" if cell is None else str(cell) for cell in cells]


def _plain(value: Any) -> Any:
    """A list as JSON, so that it can be read back."""
    return json.dumps(value) if isinstance(value, list) else value


def as_json(comparisons: list[Comparison]) -> str:
    """Rankings with their groups, statistics and runs; null for what is no finite number."""
    found = [
        {
            "kind": c.kind or "text", "metric": c.metric, "more_is_better": c.more_is_better,
            "settings": c.keys, "baseline": c.baseline and c.baseline.label,
            "front": list(c.costs), "groups": [_group(group) for group in c.groups],
        }
        for c in comparisons
    ]  # fmt: skip
    return strict_json.dumps(found, indent=1, default=str)


def _group(group: Group) -> dict[str, Any]:
    return {
        "rank": group.rank, "label": group.label, "settings": group.settings,
        "mean": group.mean, "std": group.spread, "diverged": group.diverged,
        "so_far": group.so_far, "to_baseline": group.against and asdict(group.against),
        "on_front": group.on_front, "costs": {name: group.cost(name) for name in COSTS},
        "runs": [
            {"run": row.name, "folder": str(row.folder.path), "state": row.state,
             "seed": row.seed, "best": row.best, "final": row.final, "costs": row.costs,
             "message": row.message} for row in group.rows
        ],
    }  # fmt: skip


def as_markdown(comparisons: list[Comparison]) -> str:
    """A table for each kind of run."""
    sheets = [comparison_sheet(c) for c in comparisons]
    return "\n\n".join(
        "\n\n".join([s.title, markdown(s), *(f"- {n}" for n in s.notes)]) for s in sheets
    )


def as_latex(comparisons: list[Comparison]) -> str:
    """A tabular for each kind of run."""
    return "\n\n".join(latex(comparison_sheet(c)) for c in comparisons)


FORMATS: dict[str, Callable[[list[Comparison]], str]] = {
    "csv": as_csv, "md": as_markdown, "latex": as_latex, "json": as_json,
}  # fmt: skip


def export(comparisons: list[Comparison], form: str) -> str:
    """The comparison in one of FORMATS, without secrets."""
    return masked_text(FORMATS[form](comparisons)).rstrip("\n") + "\n"


def export_sheet(sheet: Sheet, form: str) -> str:
    """A table in one of FORMATS; in JSON a list of objects by heading."""
    made = {
        "csv": lambda: comma_separated(sheet.headings, sheet.rows),
        "md": lambda: markdown(sheet),
        "latex": lambda: latex(sheet),
        "json": lambda: json.dumps(
            [dict(zip(sheet.headings, row, strict=True)) for row in sheet.rows], indent=1
        ),
    }
    return masked_text(made[form]()).rstrip("\n") + "\n"


def write_results(folder: Path) -> Path:
    """Write results.csv of a sweep or of a folder of runs; its path."""
    path = folder / RESULTS
    write_atomically(path, export(compare(collect([folder])), "csv"))
    return path
