"""Compression of weights that are there, without training."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from loomlab.precision.base import Precision
from loomlab.run.assembly import Assembled, compression_of
from loomlab.run.finishing import finish, measured
from loomlab.run.folder import RunFolder


def compress(
    config: DictConfig, parts: Assembled, folder: RunFolder, precision: Precision
) -> dict[str, Any]:
    """Compress the weights the run starts from, which are not trained."""
    parts.compression = compression_of(config, parts.corpus)
    before = measured(
        parts.objective, parts.corpus, precision.bf16, config.trainer.limit_val_batches
    )
    for technique in parts.compression:
        parts.objective.model = technique.transform(parts.objective.model)
    best, compressed = finish(config, parts, folder, precision, before)
    compressed["parent"] = str(config.init or config.model.name or config.model.package)
    return {"final": best, "best": best, "steps": 0, "training_seconds": 0.0, **compressed}
