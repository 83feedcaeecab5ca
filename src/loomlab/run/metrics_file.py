"""metrics.csv: one row per logged step, with what it had cost by then."""

from __future__ import annotations

import csv
import errno
import io
import os
import time
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers import Logger

from loomlab.run.metrics_reading import COST_COLUMNS, read_metrics, read_so_far

__all__ = ["COST_COLUMNS", "MetricsFile", "read_metrics"]


class MetricsFile(Logger):
    """A Lightning logger that writes RUN_DIR/metrics.csv."""

    def __init__(self, path: Path, tokens_per_step: int, flops_per_step: float) -> None:
        super().__init__()
        self.path = path
        self.tokens_per_step = tokens_per_step
        self.flops_per_step = flops_per_step
        self.columns: list[str] = list(COST_COLUMNS)
        self.rows: list[dict[str, Any]] = []
        self.pending: dict[str, Any] = {}
        self.reopened = False
        self.started = time.monotonic()
        self.spent_before = 0.0

    @property
    def name(self) -> str:
        """Name Lightning asks for."""
        return "metrics"

    @property
    def version(self) -> str:
        """Version Lightning asks for."""
        return ""

    def start_clock(self) -> None:
        """Count seconds from now: the first step is about to be taken."""
        self.started = time.monotonic()

    def seconds(self) -> float:
        """Seconds of training, over all parts of a resumed run."""
        return self.spent_before + time.monotonic() - self.started

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The run folder's config.yaml holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add numbers to the row of a step; the row is written when the next one begins."""
        step = int(step or 0)
        if self.pending and self.pending["step"] != step:
            self.save()
        if not self.pending and self.rows and self.rows[-1]["step"] == step:
            self.pending = self.rows.pop()  # written early, for a checkpoint; it is not full yet
            self.reopened = True
        if not self.pending:
            self.pending = {"step": step, **self.costs(step)}
        self.pending.update({k: float(v) for k, v in metrics.items()})

    def costs(self, step: int) -> dict[str, float]:
        """What a step had cost: as in its row, if it has one already, or by now."""
        for row in (self.pending, *self.rows[-1:]):
            if row.get("step") == step:
                return {name: row[name] for name in COST_COLUMNS[1:]}
        return {
            "tokens": step * self.tokens_per_step,
            "flops": round(step * self.flops_per_step),
            "seconds": round(self.seconds(), 3),
        }

    @rank_zero_only
    def save(self) -> None:
        """Write the pending row."""
        if not self.pending:
            return
        new = [c for c in self.pending if c not in self.columns]
        self.rows.append(self.pending)
        self.columns += new
        if new or len(self.rows) == 1 or self.reopened:
            self._rewrite()
            self.reopened = False
        else:
            self._append(self.pending)
        self.pending = {}

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is left."""
        self.save()

    def _rewrite(self) -> None:
        """Write all rows; a process killed meanwhile leaves the file it found."""
        partial = self.path.with_name(f".{self.path.name}.partial")
        try:
            with partial.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self.columns)
                writer.writeheader()
                writer.writerows(self.rows)
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)

    def _append(self, row: dict[str, Any]) -> None:
        """Add a row; on a full disk it is not there rather than there by half."""
        text = io.StringIO()
        csv.DictWriter(text, self.columns).writerow(row)
        line = text.getvalue().encode()
        with self.path.open("ab", buffering=0) as file:
            before = file.tell()
            if file.write(line) < len(line):
                file.truncate(before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def continue_from(self, step: int) -> None:
        """Take up the rows of an earlier part of the run, up to a step; none that was cut off."""
        if not self.path.is_file():
            return
        self.rows = [r for r in read_so_far(self.path) if r["step"] <= step]
        self.columns = list(dict.fromkeys([*COST_COLUMNS, *(k for r in self.rows for k in r)]))
        self.spent_before = self.rows[-1]["seconds"] if self.rows else 0.0
        self._rewrite()

    def last(self) -> dict[str, float]:
        """The newest value of every column."""
        newest: dict[str, float] = {}
        for row in [*self.rows, self.pending]:
            newest.update(row)
        return newest
