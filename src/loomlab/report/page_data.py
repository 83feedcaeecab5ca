"""What the page of a sweep shows, as plain data."""

from __future__ import annotations

import math
import shlex
import time
from collections import Counter
from pathlib import Path
from typing import Any

from loomlab import __version__
from loomlab.report.collect import collect
from loomlab.report.importance import HOW, Importance, importance, ranked
from loomlab.report.page_config import configs
from loomlab.report.page_samples import samples
from loomlab.report.row import COSTS, Row
from loomlab.report.thinning import Columns, curves, knots, logged, read_columns, rounded
from loomlab.run.ledger import Job, Ledger
from loomlab.secrets import masked_override, masked_text

POINTS = 250_000  # of all curves of a page together: about 2 MB
LEAST, MOST = 20, 1000  # points of one curve
SAMPLE_CHARACTERS = 600_000  # of all runs together
LOG_CHARACTERS = 4000  # of one job


def page_data(folder: Path) -> dict[str, Any]:
    """Runs, settings, metrics, curves, samples and importance of a sweep, for its page."""
    ledger = Ledger(folder)
    jobs = ledger.jobs()
    rows = {row.job.key: row for row in collect([folder]) if row.job}
    tables = {job.key: read_columns(folder / job.folder / "metrics.csv") for job in jobs}
    series = sum(len(logged(table)) for table in tables.values())
    points = max(LEAST, min(MOST, POINTS // max(1, series)))
    runs = [_run(job, rows[job.key], tables[job.key], points, len(jobs)) for job in jobs]
    for run, config in zip(runs, configs([rows[job.key] for job in jobs]), strict=True):
        run["config"] = config
    settings = list(dict.fromkeys(name for job in jobs for name in job.differs))
    metrics = _metrics(jobs, runs)
    return {
        "title": f"Sweep {folder.resolve().name}",
        "folder": str(folder.resolve()),
        "version": __version__,
        "written": time.strftime("%Y-%m-%d %H:%M"),
        "command": _command(ledger.definition()),
        "states": dict(Counter(job.state for job in jobs).most_common()),
        "settings": settings,
        "metrics": [
            {"name": name, "more": any(row.prefers_more(name) for row in rows.values())}
            for name in metrics
        ],
        "costs": [c for c in COSTS if any(run["costs"].get(c) is not None for run in runs)],
        "logged": _logged(tables, metrics),
        "points": points,
        "thinned": any(len(t["step"]) > points for t in tables.values() if "step" in t),
        "importance": {name: _importance(name, settings, runs) for name in metrics},
        "importance_how": HOW,
        "runs": runs,
    }


def _command(definition: dict[str, Any]) -> str:
    flags, given = definition.get("flags", []), definition.get("arguments", [])
    words = [definition.get("verb", "train"), *flags, "-m", *given]
    return shlex.join(["loom", *(masked_override(str(word)) for word in words)])


def _run(job: Job, row: Row, table: Columns, points: int, jobs: int) -> dict[str, Any]:
    return {
        "number": job.number,
        "name": masked_text(job.name),
        "folder": job.folder,
        "state": job.state,
        "settings": {name: _setting(value) for name, value in job.differs.items()},
        "best": {} if row.unread else {k: rounded(v, 8) for k, v in row.best.items()},
        "costs": {name: rounded(value, 8) for name, value in row.costs.items()},
        "error_type": job.error_type,
        "message": masked_text(job.message or ""),
        "log_tail": masked_text(job.log_tail or "")[-LOG_CHARACTERS:],
        "x": knots(table),
        "curves": curves(table, points),
        "samples": samples(row.folder.path, SAMPLE_CHARACTERS // max(1, jobs)),
    }


def _setting(text: str) -> str | float:
    """A setting as a number where it is one, so that it is sorted and drawn as one."""
    try:
        value = float(text)
    except ValueError:
        return masked_text(text)
    whole = math.isfinite(value) and value == int(value)
    return int(value) if whole else value if math.isfinite(value) else text


def _metrics(jobs: list[Job], runs: list[dict[str, Any]]) -> list[str]:
    """Held-out metrics; first the one that most jobs are compared by."""
    compared = [name for name, _ in Counter(j.metric for j in jobs if j.metric).most_common()]
    held_out = [name for run in runs for name in run["best"] if name.startswith("val/")]
    return list(dict.fromkeys([*compared, *held_out]))


def _logged(tables: dict[str, Columns], metrics: list[str]) -> list[str]:
    names = sorted({name for table in tables.values() for name in logged(table)})
    return sorted(names, key=lambda name: (name not in metrics, name))


def _importance(metric: str, settings: list[str], runs: list[dict[str, Any]]) -> list[Any]:
    done = [r for r in runs if r["state"] == "done" and r["best"].get(metric) is not None]
    return [vars(i) for i in ranked([_of(s, metric, done) for s in settings])]


def _of(setting: str, metric: str, runs: list[dict[str, Any]]) -> Importance:
    having = [run for run in runs if setting in run["settings"]]
    options = [run["settings"][setting] for run in having]
    return importance(setting, options, [run["best"][metric] for run in having])
