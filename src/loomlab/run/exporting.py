"""Write the model of a run in another format, and keep the file only if it computes the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from loomlab import strict_json
from loomlab.errors import InputError
from loomlab.format.base import INPUTS, Inputs
from loomlab.run.constructor import constructor
from loomlab.run.export_record import EXPORTS, RECORD, make_format
from loomlab.run.finished_run import FinishedRun


def export(run_dir: str, name: str, node: dict[str, Any], batches: int) -> dict[str, Any]:
    """Export a run and verify it in a process of its own; returns the verification.

    Args:
        name: folder of the export.
        node: `_target_` of the format and its settings.
        batches: how many of held-out text its perplexity is taken on.

    Raises:
        InputError: the model cannot be written in this format.
        RuntimeError: the export was written, computes something else, and is deleted.
    """
    form = make_format(node)
    finished = FinishedRun(run_dir)
    folder = finished.folder.path / EXPORTS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        example = example_of(finished)
        form.write(finished.model, example, folder)
        finished.tokenizer.save_pretrained(folder)
        record = {"format": node, "run": str(finished.folder.path.resolve()),
                  "inputs": list(example)}  # fmt: skip
        (folder / RECORD).write_text(strict_json.dumps(record))
        found = _verified(folder, batches)
        if found["problems"]:
            raise RuntimeError(f"{folder} is deleted: {'; '.join(found['problems'])}")
        (folder / RECORD).write_text(strict_json.dumps(record | found, indent=2))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return found | {"folder": str(folder)}


def example_of(finished: FinishedRun) -> Inputs:
    """Token ids to trace a model with; a mask too where texts of several lengths are padded."""
    option = constructor(finished.config.model).func
    if getattr(option, "trained_by", "gradient") == "counting":
        raise InputError(
            f"{finished.folder.path}: model={finished.config.choice.model} counts n-grams and is "
            "no graph that could be exported; its files in model/ are all there is"
        )
    ids = torch.arange(2 * 8).view(2, 8) % int(finished.model.config.vocab_size)  # type: ignore
    masked = finished.objective_class.head != "causal_lm"
    return dict(zip(INPUTS, (ids, torch.ones_like(ids)), strict=True)) if masked else {
        "input_ids": ids
    }  # fmt: skip


def _verified(folder: Path, batches: int) -> dict[str, Any]:
    """What a fresh process finds that reads the export and the run."""
    done = subprocess.run(
        [sys.executable, "-m", "loomlab.run.verification", str(folder), str(batches)],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{folder} is deleted: a fresh process cannot run it: {last}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
