"""One run from its config to its finished folder."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from loomlab.allow import authorize
from loomlab.catalog.choices import chosen
from loomlab.logger.wandb import finish
from loomlab.measure.memory import peak_memory_bytes
from loomlab.parallelism.threads import divide_threads
from loomlab.run.alone import alone_in
from loomlab.run.assembly import Assembled, assemble
from loomlab.run.compressing import compress
from loomlab.run.constructor import constructor
from loomlab.run.counting import count
from loomlab.run.environment import describe_environment
from loomlab.run.finishing import sizes
from loomlab.run.fitting import fit
from loomlab.run.folder import RunFolder
from loomlab.run.kept_tokenizer import keep_tokenizer
from loomlab.run.measured import keep_measured_choices
from loomlab.run.quiet import quiet_libraries
from loomlab.run.same_text import text_identity
from loomlab.run.shutdown import Stopped
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
        summary["runtime"] = constructor(config.runtime)().apply()
        precision = constructor(config.precision)()
        summary["precision"] = precision.lightning
        folder.write_summary(summary)
        parts = assemble(config, folder, compressed=trains)
        if not config.resume:
            keep_tokenizer(folder, parts.corpus.hf_tokenizer)
        summary["kind"] = parts.objective.kind
        summary["more_is_better"] = [f"val/{name}" for name in parts.objective.more_is_better]
        summary["metric"] = config.metric or parts.objective.best_by[0]
        folder.write_summary(summary)
        if not trains:
            numbers = compress(config, parts, folder, precision)
        elif parts.counted:
            numbers = count(config, parts, folder)
        else:
            numbers = fit(config, parts, folder, precision)
        summary["status"] = "finished"
        summary |= _figures(parts, numbers) | describe_environment()
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
