"""Lightning's CSV logger, for tools that read its layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger

from loomlab.logger.base import NO_FACTS, Facts, LoggerOption


class CSV(LoggerOption):
    """Lightning's own metrics.csv and hparams.yaml in RUN_DIR/csv, for tools that read those."""

    def build(
        self, *, run_dir: Path, name: str, config: dict[str, Any], facts: Facts = NO_FACTS
    ) -> CSVLogger:
        """A CSVLogger writing to RUN_DIR/csv."""
        logger = CSVLogger(save_dir=run_dir, name="csv", version="")
        logger.log_hyperparams(config)
        return logger
