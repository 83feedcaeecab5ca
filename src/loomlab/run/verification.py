"""Hold an export against the run it came from: `python -m loomlab.run.verification FOLDER N`.

A process of its own, so that nothing but the files can make it work.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from loomlab.format.base import INPUTS, Format, Inputs
from loomlab.measure.modes import uncached
from loomlab.model.own_unit import label_unit
from loomlab.run.evaluation import evaluate
from loomlab.run.export_record import make_format, read_record
from loomlab.run.finished_run import FinishedRun

ROUNDS = 9
PERPLEXITY, ERROR = "perplexity", "rmse"  # one of which is compared


def main(folder: str, batches: int) -> None:
    """Print, as JSON, how far the export is from the run, and how large and fast it is."""
    record = read_record(Path(folder))
    assert record is not None
    form = make_format(record["format"])
    source, exported = FinishedRun(record["run"]), FinishedRun(folder)
    inputs = _real_inputs(source)
    with torch.no_grad(), uncached(source.model), uncached(exported.model):
        wanted = source.model(**inputs).logits
        found = exported.model(**inputs).logits
    mask = inputs.get("attention_mask")
    difference = (wanted - found).abs()
    if (unit := label_unit(source.model.config)) is not None:  # numbers of any size
        difference = difference / difference.new_tensor(unit[1])
    if mask is not None and difference.ndim == 3:  # what padding gives is nobody's concern
        difference = difference * mask[..., None]
    numbers = {
        "max_difference": float(difference.max()),
        **{f"{name}_before": value for name, value in _quality(source, batches).items()},
        **_quality(exported, batches),
        "bytes": sum(p.stat().st_size for p in Path(folder).glob(f"{form.file}*")),
        "bytes_before": (source.folder.model / "model.safetensors").stat().st_size,
        **_latency(source.model, exported.model, inputs),
    }
    print(json.dumps(numbers | {"problems": problems(form, numbers)}))


def problems(form: Format, numbers: dict[str, float]) -> list[str]:
    """Why an export does not count; empty if it does."""
    found = []
    off = numbers["max_difference"]
    if form.tolerance is not None and not off <= form.tolerance:
        found.append(f"a logit is off by {off:.2g}, more than {form.tolerance:g}")
    name = next(name for name in (PERPLEXITY, ERROR) if name in numbers)
    before, after = numbers[f"{name}_before"], numbers[name]
    if not abs(after - before) <= form.perplexity_tolerance * before:
        found.append(f"the {name} of held-out text is {after:.4f} instead of {before:.4f}")
    return found


def _real_inputs(source: FinishedRun) -> Inputs:
    """A batch of held-out text."""
    objective, corpus = source.with_corpus()
    batch = objective.model_inputs(next(iter(corpus.val_dataloader())))
    return {name: batch[name] for name in INPUTS if name in batch}


def _quality(run: FinishedRun, batches: int) -> dict[str, float]:
    """exp of the mean loss on the first batches of held-out text, as `loom evaluate` scores.

    Of numbers it is the error itself.
    """
    objective, corpus = run.with_corpus()
    found = evaluate(objective, corpus, False, batches)
    if ERROR in objective.metrics:
        return {ERROR: found[f"val/{ERROR}"]}
    return {PERPLEXITY: math.exp(found["val/loss"])}


def _latency(source: nn.Module, exported: nn.Module, inputs: Inputs) -> dict[str, float]:
    """Median milliseconds of one row, both models taking turns."""
    row = {name: value[:1] for name, value in inputs.items()}
    times: dict[str, list[float]] = {"milliseconds_before": [], "milliseconds": []}
    for _ in range(ROUNDS + 2):
        for name, model in zip(times, (source, exported), strict=True):
            with uncached(model):
                times[name].append(_seconds(lambda model=model: model(**row)))  # type: ignore[misc]
    return {name: sorted(taken[2:])[ROUNDS // 2] * 1e3 for name, taken in times.items()}


@torch.no_grad()
def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
