"""A run as Python sees it: `loomlab.Run(path)`."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loomlab.errors import InputError
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_reading import read_so_far

if TYPE_CHECKING:
    import pyarrow as pa
    from omegaconf import DictConfig
    from torch import nn
    from transformers import PreTrainedTokenizerFast

    from loomlab.run.finished_run import FinishedRun


class Run:
    """A run by its folder, whoever trained it: what it was told, what it measured, its model."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises InputError where no run is."""
        self.folder = RunFolder(Path(path).absolute())
        self.config: DictConfig = self.folder.config()

    def __repr__(self) -> str:
        try:
            status = self.summary.get("status", "not started")
        except InputError:
            status = "damaged"
        return f"Run({str(self.path)!r}, {status})"

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    @property
    def summary(self) -> dict[str, Any]:
        """summary.json as it is now: status, final and best numbers, costs, versions."""
        return self.folder.summary()

    def metrics(self) -> pa.Table:
        """metrics.csv: a row per logged step, null where a step has no such number.

        `to_pandas()` makes a data frame of it, where pandas is installed.
        """
        import pyarrow as pa

        rows = read_so_far(self.folder.metrics)
        names = dict.fromkeys(name for row in rows for name in row)
        return pa.table({
            name: pa.array([row.get(name) for row in rows], _kind(rows, name)) for name in names
        })  # fmt: skip

    def model(self) -> nn.Module:
        """The best weights, in evaluation mode.

        Raises:
            InputError: the run has no finished model.
        """
        return self._finished.model

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer that its text was cut with.

        Raises:
            InputError: the run has no finished model.
        """
        return self._finished.tokenizer

    @cached_property
    def _finished(self) -> FinishedRun:
        from loomlab.run.finished_run import FinishedRun

        return FinishedRun(self.path)


def _kind(rows: list[dict[str, Any]], name: str) -> pa.DataType:
    import pyarrow as pa

    whole = name in ("step", "tokens") and all(isinstance(row.get(name, 0), int) for row in rows)
    return pa.int64() if whole else pa.float64()
