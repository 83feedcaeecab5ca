"""From trained weights to those that are saved: the last act of compression, and what it cost."""

from __future__ import annotations

import errno
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from safetensors import SafetensorError
from torch import Tensor, nn

from loomlab.compression.base import Compression
from loomlab.corpus.base import Corpus
from loomlab.device import on, placed, wait_for
from loomlab.measure.modes import evaluating, uncached
from loomlab.model.foreign_unit import save_own_unit
from loomlab.model.reshaped import QuantizedLinear
from loomlab.objective.base import Objective
from loomlab.precision.base import Precision
from loomlab.run.assembly import Assembled
from loomlab.run.evaluation import evaluate
from loomlab.run.folder import RunFolder

TIMED = 5  # passes of which the median is the latency


def finish(
    config: DictConfig, parts: Assembled, folder: RunFolder, precision: Precision,
    measured_before: dict[str, Any] | None = None, scored: dict[str, float] | None = None,
) -> tuple[dict[str, float], dict[str, Any]]:  # fmt: skip
    """Finish, score and save the model; its numbers, and what compression made of it, if any did.

    What it was before is told where the answers have changed. `scored` are its numbers where they
    are known already.
    """
    whole = (parts.objective, parts.corpus, precision.bf16, config.trainer.limit_val_batches)
    before = _finish_model(parts.compression, *whole, measured_before)
    best = scored or evaluate(*whole)
    save_model(parts.objective, folder)
    if not (before or parts.compression):
        return best, {}
    after = as_saved(parts.objective, parts.corpus, folder.model)
    return best, {"compressed": {"before": before, "after": best | after}}


def _finish_model(
    techniques: list[Compression],
    objective: Objective,
    corpus: Corpus,
    bf16: bool,
    batches: int | None = None,
    before: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Let every technique finish the model; what it was before where that changes its answers.

    `before` is given where that was measured already.
    """
    changed = any(technique.changes_outputs for technique in techniques)
    if before is None:
        before = measured(objective, corpus, bf16, batches) if changed else {}
    for technique in techniques:
        technique.calibrate(_training_inputs(objective, corpus))
        objective.model = technique.finalize(objective.model)
    return before


def _training_inputs(objective: Objective, corpus: Corpus) -> Iterator[dict[str, Tensor]]:
    """What the model is given for batches of the training text, without end."""
    for batch in corpus.train_dataloader():
        yield objective.model_inputs(batch)


def measured(
    objective: Objective, corpus: Corpus, bf16: bool, batches: int | None
) -> dict[str, Any]:
    """Quality and size of a model as it is."""
    numbers = evaluate(objective, corpus, bf16, batches)
    return {**numbers, **sizes(objective.model), "latency_seconds": latency(objective, corpus)}


def sizes(model: nn.Module) -> dict[str, float]:
    """Weights of a model, shared ones once, and how many of them are not zero."""
    weights: list[Tensor] = list(model.parameters())
    weights += [m.weight for m in model.modules() if isinstance(m, QuantizedLinear)]
    return {
        "parameters": sum(w.numel() for w in weights),
        "non_zeros": sum(int(w.detach().count_nonzero()) for w in weights),
    }


def as_saved(objective: Objective, corpus: Corpus, folder: Path) -> dict[str, float]:
    """Size of a model, also of what was really written of it, and its speed."""
    counted = sizes(objective.model)
    written = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return {
        **counted,
        "bytes_on_disk": written,
        "bits_per_weight": 8 * written / counted["parameters"],
        "latency_seconds": latency(objective, corpus),
    }


@torch.no_grad()
def latency(objective: Objective, corpus: Corpus) -> float:
    """Seconds of a pass over the first held-out batch: the median of a few."""
    inputs = objective.model_inputs(next(iter(corpus.val_dataloader())))
    seconds = []
    with evaluating(objective), placed(objective) as place, uncached(objective.model):
        inputs = on(place, inputs)
        for _ in range(TIMED):
            started = time.perf_counter()
            objective.model(**inputs)
            wait_for(place)
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def save_model(objective: Objective, folder: RunFolder) -> None:
    """Write the model and its tokenizer in Transformers layout; whole or not at all."""
    partial = folder.path / ".model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        save_own_unit(objective.model, partial)
        objective.exported_tokenizer().save_pretrained(partial)
        shutil.rmtree(folder.model, ignore_errors=True)
        partial.rename(folder.model)
    except SafetensorError as error:  # that is how a full disk shows here
        raise OSError(errno.ENOSPC, str(error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
