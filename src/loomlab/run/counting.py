"""Training by counting the tokens of the training text once."""

from __future__ import annotations

import math
from typing import Any

from omegaconf import DictConfig

from loomlab.run.assembly import Assembled
from loomlab.run.evaluation import evaluate
from loomlab.run.finishing import save_model
from loomlab.run.folder import RunFolder
from loomlab.run.trainer import build_loggers


def count(config: DictConfig, parts: Assembled, folder: RunFolder) -> dict[str, Any]:
    """Train by counting the tokens the budget pays for."""
    loggers = build_loggers(config, parts, folder)
    limit = None if parts.steps is None else parts.steps * parts.context.tokens_per_step
    tokens = parts.corpus.tokens_to_count(limit)
    parts.metrics.start_clock()
    parts.objective.model.count(tokens)  # type: ignore[operator]
    seconds = parts.metrics.seconds()
    numbers = evaluate(parts.objective, parts.corpus, False, config.trainer.limit_val_batches)
    steps = math.ceil(len(tokens) / parts.context.tokens_per_step)
    for logger in loggers:
        logger.log_metrics(numbers, step=steps)
        logger.finalize("success")
    save_model(parts.objective, folder)
    return {
        "final": numbers, "best": numbers, "steps": steps, "tokens": len(tokens),
        "training_seconds": round(seconds, 3),
    }  # fmt: skip
