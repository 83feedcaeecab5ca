"""What every parallelism option offers."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Parallelism:
    """How many processes share a run, and the Lightning strategy that joins them."""

    devices: int = 1

    def strategy(self, run_dir: Path) -> Any:
        """Lightning strategy; `run_dir` holds the config that further processes start from."""
        return "auto"
