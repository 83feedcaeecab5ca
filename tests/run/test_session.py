"""How a run ends: with its best weights, with an error on record, or interrupted."""

import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from loomlab.errors import InputError
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Finish = Callable[..., RunFolder]
Started = Callable[..., "subprocess.Popen[str]"]
# a rate that rises until the model falls apart: the best weights are not the last ones
WORSE_IN_THE_END = [
    "optimizer.lr=0.5", "scheduler=constant", "scheduler.warmup=12", "budget.steps=12",
    "trainer.val_every_n_steps=1",
]  # fmt: skip


def test_the_best_weights_are_saved(finish: Finish):
    folder = finish(*WORSE_IN_THE_END, "callbacks=[checkpoint]")
    rows = [row for row in read_metrics(folder.metrics) if "val/loss" in row]
    best = min(rows, key=lambda row: row["val/bits_per_byte"])
    assert best["step"] < rows[-1]["step"]
    assert best["val/loss"] < rows[-1]["val/loss"] - 0.01
    summary = folder.summary()
    assert summary["best"]["val/loss"] == pytest.approx(best["val/loss"], rel=1e-6)
    assert summary["final"]["val/loss"] == pytest.approx(rows[-1]["val/loss"], rel=1e-6)
    checkpoint = torch.load(folder.checkpoints / "best.ckpt", weights_only=True)
    assert checkpoint["global_step"] == best["step"]
    saved = load_file(folder.model / "model.safetensors")
    assert saved
    assert all(torch.equal(checkpoint["state_dict"][f"model.{k}"], v) for k, v in saved.items())


def test_without_the_best_the_last_weights_are_saved(finish: Finish):
    folder = finish(
        *WORSE_IN_THE_END, "callbacks=[checkpoint]", "callbacks.checkpoint.keep_best=false"
    )
    summary = folder.summary()
    assert summary["best"]["val/loss"] == pytest.approx(summary["final"]["val/loss"], rel=1e-6)
    assert not (folder.checkpoints / "best.ckpt").exists()
    assert (folder.checkpoints / "last.ckpt").is_file()


def test_a_run_that_raises_is_on_record(finish: Finish, tmp_path: Path):
    (tmp_path / "samples.txt").mkdir()  # the callback cannot write its file
    with pytest.raises(IsADirectoryError):
        finish("callbacks=[samples]", "callbacks.samples.length=2", folder=tmp_path)
    summary = RunFolder(tmp_path).summary()
    assert summary["status"] == "failed"
    assert summary["error"].startswith("IsADirectoryError: ")
    assert not RunFolder(tmp_path).model.exists()
    assert read_metrics(RunFolder(tmp_path).metrics), "what was measured until then"


def test_a_refusal_by_the_data_is_on_record(finish: Finish, tmp_path: Path):
    with pytest.raises(InputError):
        finish("corpus.max_samples=2", folder=tmp_path)
    error = RunFolder(tmp_path).summary()["error"]
    assert error.startswith("InputError: 2 training sequences are fewer than the 4 of one batch")


def test_resume_without_a_checkpoint_is_refused(finish: Finish, tmp_path: Path):
    finish(folder=tmp_path)
    with pytest.raises(InputError, match=r"resume=.*: no valid checkpoint is in "):
        finish(f"resume={tmp_path}", folder=tmp_path)


def test_ctrl_c(
    started: Started,
    wait: Callable[..., None],
    small: Callable[..., list[str]],
    tmp_path: Path,
):
    """Exit code 130, one line instead of a traceback, and a run that can be gone on with."""
    folder = RunFolder(tmp_path / "run")
    process = started(*small(folder.path, "budget.steps=1000000", "callbacks=[checkpoint]"))
    wait(process, lambda: folder.metrics.is_file() and len(read_metrics(folder.metrics)) > 2)
    assert folder.summary()["status"] == "running"
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "Traceback" not in output + errors
    assert f"go on with `loom train resume={folder.path}`" in output
    summary = json.loads((folder.path / "summary.json").read_text())
    assert summary["status"] == "interrupted"
    assert "error" not in summary
    assert (folder.checkpoints / "last.ckpt").is_file()
    assert not folder.model.exists()


def test_a_clock_that_jumps_changes_nothing(
    finish: Finish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By years, back and forth, at every look."""
    steady = finish("callbacks=[checkpoint,throughput]")
    now, jumps = time.time, itertools.cycle([0.0, 1e8, -1e8])
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps))
    folder = finish("callbacks=[checkpoint,throughput]", folder=tmp_path)
    rows, others = read_metrics(folder.metrics), read_metrics(steady.metrics)
    assert [row["train/loss"] for row in rows] == [row["train/loss"] for row in others]
    assert all(0 <= row["seconds"] < 1e6 for row in rows)
    assert 0 < folder.summary()["training_seconds"] < 1e6
