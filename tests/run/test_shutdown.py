"""A run that was killed goes on as if nothing had happened."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

STEPS = 48
LONG = [
    f"budget.steps={STEPS}", "trainer.val_every_n_steps=5", "optimizer.lr=0.01",
    "callbacks=[checkpoint]", "callbacks.checkpoint.every_n_train_steps=1",
]  # fmt: skip
KINDS = {
    "clm": ["position=rope", "model.dropout=0.1"],
    "mlm": ["model=bert", "objective=mlm", "model.dropout=0.1"],
    "accumulated": ["trainer.accumulate_grad_batches=2", "optimizer=muon"],
    "every_validation": ["callbacks.checkpoint.every_n_train_steps=null"],
}


def numbers(folder: RunFolder) -> list[dict[str, float]]:
    """Every row without the time it took."""
    return [
        {key: value for key, value in row.items() if key != "seconds"}
        for row in read_metrics(folder.metrics)
    ]


def state(folder: RunFolder) -> dict[str, Any]:
    checkpoint = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == STEPS
    return checkpoint["state_dict"]


@pytest.mark.parametrize(
    "kind", [k if k == "clm" else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)
def test_killed_and_resumed_equals_undisturbed(
    kind: str,
    started: Callable[..., "subprocess.Popen[str]"],
    wait: Callable[..., None],
    small: Callable[..., list[str]],
    finish: Callable[..., RunFolder],
    tmp_path: Path,
):
    folder = RunFolder(tmp_path / "killed")
    last = folder.checkpoints / "last.ckpt"
    process = started(*small(folder.path, *LONG, *KINDS[kind]))
    wait(process, lambda: last.is_file() and len(read_metrics(folder.metrics)) > 6)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert folder.summary()["status"] == "running"
    reached = torch.load(last, weights_only=True)["global_step"]
    assert 0 < reached < STEPS
    resumed = started(f"resume={folder.path}")
    _, errors = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, errors

    undisturbed = finish(*LONG, *KINDS[kind])
    summaries = [run.summary() for run in (folder, undisturbed)]
    assert [s["status"] for s in summaries] == ["finished"] * 2
    assert [row["step"] for row in numbers(folder)] == list(range(1, STEPS + 1))
    assert numbers(folder) == numbers(undisturbed)
    mine, theirs = state(folder), state(undisturbed)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    best = [load_file(run.model / "model.safetensors") for run in (folder, undisturbed)]
    assert all(torch.equal(best[0][key], best[1][key]) for key in best[1])
    assert [s["best"] for s in summaries] == [summaries[0]["best"]] * 2
    assert not list(folder.path.rglob("*partial*"))
