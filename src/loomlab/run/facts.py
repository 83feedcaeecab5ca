"""What loggers are told of a run beside its config."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig, OmegaConf

from loomlab.corpus.base import Corpus
from loomlab.logger.base import Facts
from loomlab.objective.base import Objective
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import is_sweep
from loomlab.run.metrics_file import MetricsFile

COUNTS = ("tokens", "documents", "bytes")


def facts_of(
    config: DictConfig, folder: RunFolder, corpus: Corpus, objective: Objective,
    metrics: MetricsFile,
) -> Facts:  # fmt: skip
    """The facts of a run that is about to train."""
    above = folder.path.resolve().parent
    return Facts(
        sweep=above.name if is_sweep(above) else None,
        metrics=tuple(f"val/{name}" for name in objective.metrics),
        more_is_better=tuple(f"val/{name}" for name in objective.more_is_better),
        corpus=_identity(str(OmegaConf.select(config, "choice.corpus")), corpus),
        costs=metrics.costs,
    )


def _identity(name: str, corpus: Corpus) -> dict[str, Any]:
    training, held_out = corpus.train_manifest, corpus.validation_manifest
    return {
        "name": name,
        "fingerprint": corpus.content,
        "tokens_sha256": training.tokens_sha256,
        "tokenizer_hash": training.tokenizer_hash,
        "vocabulary": corpus.vocab_size,
        **{f"training_{key}": asdict(training)[key] for key in COUNTS},
        **{f"validation_{key}": asdict(held_out)[key] for key in COUNTS},
    }
