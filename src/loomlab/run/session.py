"""One run from its config to its finished folder."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from loomlab.allow import authorize
from loomlab.callbacks.store import BEST, CheckpointStore, read_state
from loomlab.compose.choices import chosen
from loomlab.compression.base import require_post_training
from loomlab.logger.wandb import finish
from loomlab.measure.memory import peak_memory_bytes
from loomlab.parallelism.threads import divide_threads
from loomlab.precision.base import Precision
from loomlab.run.alone import alone_in
from loomlab.run.assembly import (
    Assembled,
    assemble,
    build_loggers,
    build_trainer,
    compression_of,
    make,
)
from loomlab.run.environment import describe_environment
from loomlab.run.evaluation import evaluate
from loomlab.run.finishing import as_saved, finish_model, measured, save_model, sizes
from loomlab.run.folder import RunFolder
from loomlab.run.held_out import read_all, say_what_is_validated
from loomlab.run.kept_tokenizer import keep_tokenizer
from loomlab.run.measured import keep_measured_choices
from loomlab.run.output import require_space
from loomlab.run.pruning import Pruned
from loomlab.run.quiet import quiet_libraries
from loomlab.run.ranks import among_ranks
from loomlab.run.same_text import text_identity
from loomlab.run.saved_state import require_resumable
from loomlab.run.shutdown import Stopped, quits_at_once
from loomlab.run.speed_record import remember_speed

log = logging.getLogger("loomlab")


def execute(config: DictConfig, folder: RunFolder, trains: bool = True) -> float:
    """Train, evaluate and record one run; returns the metric runs are compared by.

    Without `trains` the weights it starts from are only compressed. summary.json says how it
    ended, also when it failed or was interrupted.

    Raises:
        InputError: only the data or the machine could refuse it, or another process runs it now.
    """
    with alone_in(folder.path):
        return _execute(config, folder, trains)


def _execute(config: DictConfig, folder: RunFolder, trains: bool) -> float:
    quiet_libraries()
    authorize(OmegaConf.to_container(config, resolve=True))
    started, all_threads = time.monotonic(), torch.get_num_threads()
    summary: dict[str, Any] = {"status": "running", "choice": chosen(config)}
    if config.resume:
        keep_measured_choices(config, folder.summary())
    folder.write_summary(summary)
    code = 1
    try:
        summary["threads"] = divide_threads(config.parallelism.get("devices", 1))
        summary["runtime"] = make(config.runtime)().apply()
        precision = make(config.precision)()
        summary["precision"] = precision.lightning
        folder.write_summary(summary)
        parts = assemble(config, folder, compressed=trains)
        if not config.resume:
            keep_tokenizer(folder, parts.corpus.hf_tokenizer)
        summary["kind"] = parts.objective.kind
        summary["more_is_better"] = [f"val/{name}" for name in parts.objective.more_is_better]
        folder.write_summary(summary)
        if not trains:
            numbers = _compress(config, parts, folder, precision)
        elif parts.counted:
            numbers = _count(config, parts, folder)
        else:
            numbers = _fit(config, parts, folder, precision)
        summary["status"] = "finished"
        summary |= _figures(parts, numbers) | describe_environment()
        summary["metric"] = config.metric or parts.objective.best_by[0]
        summary["seconds"] = round(time.monotonic() - started, 3)
        remember_speed(config, summary)
        code = 0
    except (KeyboardInterrupt, Stopped) as stop:
        summary["status"] = "interrupted"
        code = getattr(stop, "exit_code", 130)
        raise
    except BaseException as error:
        summary |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        raise
    finally:
        try:
            with contextlib.nullcontext() if code == 0 else contextlib.suppress(OSError):
                folder.write_summary(summary)  # a full disk must not hide what went wrong
        finally:
            finish(code, summary)
            torch.set_num_threads(all_threads)
    value = float(summary["best"].get(summary["metric"], math.inf))
    log.info(
        "%s: %s = %.4f, everything is in %s",
        summary["status"], summary["metric"], value, folder.path,
    )  # fmt: skip
    return value


def _fit(
    config: DictConfig, parts: Assembled, folder: RunFolder, precision: Precision
) -> dict[str, Any]:
    """Train by gradient, go back to the best weights, finish the model and save it.

    Of a run that its sweep ends early nothing more is saved.
    """
    from loomlab.parallelism.meeting import leave_group

    _require_space(config, parts, folder)
    resume = _take_up(config, parts, folder)
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
    best, compressed = _finish(
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


def _finish(
    config: DictConfig, parts: Assembled, folder: RunFolder, precision: Precision,
    measured_before: dict[str, Any] | None = None, scored: dict[str, float] | None = None,
) -> tuple[dict[str, float], dict[str, Any]]:  # fmt: skip
    """Finish, score and save the model; its numbers, and what compression changed, if it did.

    `scored` are its numbers where they are known already.
    """
    whole = (parts.objective, parts.corpus, precision.bf16, config.trainer.limit_val_batches)
    before = finish_model(parts.compression, *whole, measured_before)
    best = scored or evaluate(*whole)
    save_model(parts.objective, folder)
    if not before:
        return best, {}
    after = as_saved(parts.objective, parts.corpus, folder.model)
    return best, {"compressed": {"before": before, "after": best | after}}


def _compress(
    config: DictConfig, parts: Assembled, folder: RunFolder, precision: Precision
) -> dict[str, Any]:
    """Compress the weights the run starts from, which are not trained.

    Raises:
        InputError: a technique that has no effect but through training.
    """
    parts.compression = compression_of(config, parts.corpus)
    require_post_training(parts.compression)
    before = measured(
        parts.objective, parts.corpus, precision.bf16, config.trainer.limit_val_batches
    )
    for technique in parts.compression:
        parts.objective.model = technique.transform(parts.objective.model)
    best, compressed = _finish(config, parts, folder, precision, before)
    compressed["parent"] = str(config.init or config.model.name or config.model.package)
    return {"final": best, "best": best, "steps": 0, "training_seconds": 0.0, **compressed}


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


def _take_up(config: DictConfig, parts: Assembled, folder: RunFolder) -> Path | None:
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


def _count(config: DictConfig, parts: Assembled, folder: RunFolder) -> dict[str, Any]:
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


def _figures(parts: Assembled, numbers: dict[str, Any]) -> dict[str, Any]:
    """What the run cost and what it reached, as plain values."""
    model, steps = parts.objective.model, numbers["steps"]
    count = getattr(model, "parameters_count", None)
    report = {type(t).__name__: t.report() for t in parts.compression}
    return {
        **numbers,
        "parameters": count or sizes(model)["parameters"],
        "tokens": numbers.get("tokens", steps * parts.context.tokens_per_step),
        "flops": steps * parts.flops_per_step,
        "peak_memory_bytes": peak_memory_bytes(),
        "compression": report,
        "owns": list(parts.owns),
        "corpus": {
            "bytes_per_token": parts.corpus.bytes_per_token,
            "unknown_share": parts.corpus.unknown_share,
            "vocabulary": parts.corpus.vocab_size,
            "training_tokens": parts.corpus.train_manifest.tokens,
            "validation_tokens": parts.corpus.validation_manifest.tokens,
            **text_identity(parts.corpus),
        },
    }
