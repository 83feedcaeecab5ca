"""What every logger option offers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger


class LoggerOption:
    """Builds a Lightning logger for one run."""

    def build(self, *, run_dir: Path, name: str, config: dict[str, Any]) -> Logger:
        """A Lightning logger writing below `run_dir`."""
        raise TypeError(f"{type(self).__name__} builds no logger")
