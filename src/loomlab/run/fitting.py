"""Training by gradient: from the state it begins with to the best weights, finished and saved."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from loomlab.callbacks.store import BEST, CheckpointStore, read_state
from loomlab.precision.base import Precision
from loomlab.run.assembly import Assembled
from loomlab.run.evaluation import evaluate
from loomlab.run.finishing import finish
from loomlab.run.folder import RunFolder
from loomlab.run.held_out import read_all, say_what_is_validated
from loomlab.run.output import require_space
from loomlab.run.pruning import Pruned
from loomlab.run.ranks import among_ranks
from loomlab.run.saved_state import require_resumable
from loomlab.run.shutdown import quits_at_once
from loomlab.run.trainer import build_trainer

log = logging.getLogger("loomlab")


def fit(
    config: DictConfig, parts: Assembled, folder: RunFolder, precision: Precision
) -> dict[str, Any]:
    """Train by gradient, go back to the best weights, finish the model and save it.

    Of a run that its sweep ends early nothing more is saved.
    """
    from loomlab.parallelism.meeting import leave_group

    _require_space(config, parts, folder)
    resume = _state_to_resume(config, parts, folder)
    trainer = build_trainer(config, parts, folder, precision)
    say_what_is_validated(parts.corpus)
    parts.metrics.start_clock()
    try:
        with among_ranks(parts.parallelism, folder) as callbacks, quits_at_once(trainer):
            trainer.callbacks[:0] = callbacks  # type: ignore[attr-defined]
            trainer.fit(
                parts.objective, datamodule=parts.corpus, ckpt_path=resume, weights_only=True
            )
    except Pruned as end:
        return {
            "status": "pruned", "final": parts.objective.latest, "best": end.best,
            "steps": trainer.global_step, "training_seconds": round(parts.metrics.seconds(), 3),
        }  # fmt: skip
    finally:
        leave_group()
    trained = parts.metrics.seconds()
    all_read = read_all(parts.corpus)
    final = parts.objective.latest
    if not (final and all_read):
        final = evaluate(
            parts.objective, parts.corpus, precision.bf16, config.trainer.limit_val_batches
        )
    better = None
    if not any(technique.ends_last for technique in parts.compression):
        better = _load_best(parts, folder, trainer.global_step)
    unchanged = not better and not parts.compression
    best, compressed = finish(
        config, parts, folder, precision, scored=final if unchanged else None
    )
    return {
        "final": final,
        "best": best,
        "steps": trainer.global_step,
        "training_seconds": round(trained, 3),
        "reports": _reports(trainer.callbacks),  # type: ignore[attr-defined]
        **compressed,
    }


def _reports(callbacks: list[Any]) -> dict[str, Any]:
    """What callbacks and probes have to say about the whole run."""
    said = {type(c).__name__: c.report() for c in callbacks if hasattr(c, "report")}
    return {name: report for name, report in said.items() if report}


def _require_space(config: DictConfig, parts: Assembled, folder: RunFolder) -> None:
    """Room for the states that lie there while the last one is written, and for the model."""
    weights = sum(p.numel() * p.element_size() for p in parts.objective.model.parameters())
    checkpoint = config.callbacks.get("checkpoint")
    states = 0 if checkpoint is None else 3 + bool(checkpoint.get("keep_best", True))
    require_space(folder.path, weights, states)


def _state_to_resume(config: DictConfig, parts: Assembled, folder: RunFolder) -> Path | None:
    """The checkpoint to resume from, with the metrics up to it; None for a fresh run.

    Raises:
        InputError: the run is to be resumed and has no valid checkpoint.
    """
    store = CheckpointStore(folder.checkpoints)
    if not config.resume:
        store.clean()
        return None
    newest = store.resumable(str(config.resume))
    log.info("resuming from step %d (%s)", newest.step, newest.path)
    require_resumable(newest.path, parts.objective, parts.corpus, str(config.resume))
    store.clean()
    parts.metrics.continue_from(newest.step)
    return newest.path


def _load_best(parts: Assembled, folder: RunFolder, last: int) -> bool:
    """Put the weights of the best checkpoint back, if there are others than those of `last`."""
    path = folder.checkpoints / BEST
    step = CheckpointStore(folder.checkpoints).step_of(BEST)
    if step is None or step == last:
        return False
    parts.objective.load_state_dict(read_state(path)["state_dict"])
    return True
