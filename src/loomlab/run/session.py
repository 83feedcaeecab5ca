"""One run from its config to its finished folder."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from loomlab.callbacks.store import BEST, CheckpointStore
from loomlab.compose.choices import chosen
from loomlab.corpus.base import Corpus
from loomlab.errors import InputError
from loomlab.logger.wandb import finish
from loomlab.measure.memory import peak_memory_bytes
from loomlab.precision.base import Precision
from loomlab.run.assembly import Assembled, assemble, build_trainer, make
from loomlab.run.environment import describe_environment
from loomlab.run.evaluation import evaluate
from loomlab.run.folder import RunFolder
from loomlab.run.quiet import quiet_libraries
from loomlab.run.shutdown import Stopped

log = logging.getLogger("loomlab")


def execute(config: DictConfig, folder: RunFolder) -> float:
    """Train, evaluate and record one run; returns the metric runs are compared by.

    summary.json says how it ended, also when it failed or was interrupted.
    """
    quiet_libraries()
    started = time.monotonic()
    summary: dict[str, Any] = {"status": "running", "choice": chosen(config)}
    if config.resume:
        _keep_measured_choices(config, folder.summary())
    folder.write_summary(summary)
    code = 1
    try:
        summary["runtime"] = make(config.runtime)().apply()
        precision = make(config.precision)()
        summary["precision"] = precision.lightning
        folder.write_summary(summary)
        parts = assemble(config, folder)
        numbers = (
            _count(config, parts) if parts.counted else _fit(config, parts, folder, precision)
        )
        summary |= _figures(parts, numbers) | describe_environment()
        summary |= {"status": "finished", "seconds": round(time.monotonic() - started, 3)}
        code = 0
    except (KeyboardInterrupt, Stopped):
        summary["status"] = "interrupted"
        raise
    except BaseException as error:
        summary |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        raise
    finally:
        finish(code)
        folder.write_summary(summary)
    return float(summary["best"].get(config.metric, math.inf))


def _keep_measured_choices(config: DictConfig, before: dict[str, Any]) -> None:
    """A resumed run keeps what the first part measured to be fastest, or it would not be exact."""
    runtime = before.get("runtime", {})
    OmegaConf.set_struct(config, False)
    config.runtime.update({k: v for k, v in runtime.items() if k in config.runtime})
    if "precision" in before and "faster_by" in config.precision:
        config.precision.measured = before["precision"] == "bf16-mixed"


def _fit(
    config: DictConfig, parts: Assembled, folder: RunFolder, precision: Precision
) -> dict[str, Any]:
    """Train by gradient, go back to the best weights, finish the model and save it."""
    from loomlab.parallelism.ddp import leave_group

    trainer = build_trainer(config, parts, folder, precision)
    resume = _take_up(config, parts, folder)
    parts.metrics.start_clock()
    try:
        trainer.fit(parts.objective, datamodule=parts.corpus, ckpt_path=resume, weights_only=True)
    finally:
        leave_group()
    trained = parts.metrics.seconds()
    last = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
    _load_best(parts, folder)
    for technique in parts.compression:
        parts.objective.model = technique.finalize(parts.objective.model)
    _gather(parts.corpus)
    best = evaluate(
        parts.objective, parts.corpus, precision.bf16, config.trainer.limit_val_batches
    )
    save_model(parts, folder)
    return {
        "final": last or best,
        "best": best,
        "steps": trainer.global_step,
        "training_seconds": round(trained, 3),
    }


def _gather(corpus: Corpus) -> None:
    """From here on this process reads all held-out rows, in the batches of the whole run."""
    corpus.batch_size *= corpus.world_size
    corpus.rank, corpus.world_size = 0, 1


def _take_up(config: DictConfig, parts: Assembled, folder: RunFolder) -> Path | None:
    """The checkpoint to resume from, with the metrics up to it; None for a fresh run.

    Raises:
        InputError: the run is to be resumed and has no valid checkpoint.
    """
    store = CheckpointStore(folder.checkpoints)
    store.clean()
    if not config.resume:
        return None
    newest = store.newest()
    if newest is None:
        raise InputError(
            f"resume={config.resume}: no valid checkpoint is in {folder.checkpoints}; start it "
            "afresh with another paths.output_dir"
        )
    log.info("resuming from step %d (%s)", newest.step, newest.path)
    parts.metrics.continue_from(newest.step)
    return newest.path


def _load_best(parts: Assembled, folder: RunFolder) -> None:
    """Put the weights of the best checkpoint back, if there is one."""
    path = folder.checkpoints / BEST
    if CheckpointStore(folder.checkpoints).step_of(BEST) is not None:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        parts.objective.load_state_dict(state)


def _count(config: DictConfig, parts: Assembled) -> dict[str, Any]:
    """Train by counting the tokens the budget pays for."""
    tokens = parts.corpus.train_tokens.tokens
    if parts.steps is not None:
        tokens = tokens[: parts.steps * parts.context.tokens_per_step]
    parts.metrics.start_clock()
    parts.objective.model.count(tokens)  # type: ignore[operator]
    seconds = parts.metrics.seconds()
    numbers = evaluate(parts.objective, parts.corpus, False, config.trainer.limit_val_batches)
    steps = math.ceil(len(tokens) / parts.context.tokens_per_step)
    parts.metrics.log_metrics(numbers, step=steps)
    parts.metrics.save()
    save_model(parts, RunFolder(parts.metrics.path.parent))
    return {
        "final": numbers, "best": numbers, "steps": steps, "tokens": len(tokens),
        "training_seconds": round(seconds, 3),
    }  # fmt: skip


def save_model(parts: Assembled, folder: RunFolder) -> None:
    """Write the model and its tokenizer in Transformers layout."""
    parts.objective.model.save_pretrained(folder.model)  # type: ignore[operator]
    parts.corpus.hf_tokenizer.save_pretrained(folder.model)


def _figures(parts: Assembled, numbers: dict[str, Any]) -> dict[str, Any]:
    """What the run cost and what it reached, as plain values."""
    model, steps = parts.objective.model, numbers["steps"]
    count = getattr(model, "parameters_count", None)
    report = {type(t).__name__: t.report() for t in parts.compression}
    return {
        **numbers,
        "parameters": count or sum(p.numel() for p in model.parameters()),
        "tokens": numbers.get("tokens", steps * parts.context.tokens_per_step),
        "flops": steps * parts.flops_per_step,
        "peak_memory_bytes": peak_memory_bytes(),
        "compression": report,
        "owns": list(parts.owns),
        "corpus": {
            "bytes_per_token": parts.corpus.bytes_per_token,
            "vocabulary": parts.corpus.vocab_size,
            "training_tokens": len(parts.corpus.train_tokens),
            "validation_tokens": len(parts.corpus.validation_tokens),
        },
    }


def record_choice(config: DictConfig, conf_dirs: Iterable[Path] = ()) -> DictConfig:
    """The config as it goes into the folder: without Hydra's node, with the options picked.

    `conf_dirs` are the user's config folders, beside which modules of options may lie.
    """
    plain = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
    OmegaConf.set_struct(plain, False)
    plain["choice"] = chosen(config)
    plain["conf_dirs"] = [str(folder) for folder in conf_dirs]
    return plain
