"""A run that was killed goes on as if nothing had happened; one that is asked stops saved."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.marks import fast_slow_soak

from loomlab.callbacks.store import CheckpointStore
from loomlab.run.folder import RunFolder
from loomlab.run.meter import Meter
from loomlab.run.metrics_file import read_metrics
from loomlab.run.shutdown import SIGNALS, Stopped

STEPS = 24
HALFWAY = 12  # where a run that is to be killed waits for it at the latest
LONG = [
    f"budget.steps={STEPS}", "trainer.val_every_n_steps=5", "optimizer.lr=0.01",
    "callbacks=[checkpoint]", "callbacks.checkpoint.every_n_train_steps=1",
]  # fmt: skip
ALICE = Path(__file__).parents[1] / "data" / "alice.txt"
KINDS = {
    "clm": ["position=rope", "model.dropout=0.1"],
    "mlm": ["model=bert", "objective=mlm", "model.dropout=0.1"],
    "accumulated": ["trainer.accumulate_grad_batches=2", "optimizer=muon"],
    "every_validation": ["callbacks.checkpoint.every_n_train_steps=null"],
    "workers": ["corpus.workers=2", "corpus.max_samples=30"],
    "epochs": ["budget.steps=null", "budget.epochs=4", "corpus.max_samples=24"],
    "tokens": ["budget.steps=null", f"budget.tokens={STEPS * 64}"],
    "mixture": [
        "corpus=mixture", "corpus.parts=[one,two]", "corpus.weights=[3,1]",
        *(f"+corpus@corpus.of.{part}=text" for part in ("one", "two")),
        *(f"corpus.of.{part}.path={ALICE}" for part in ("one", "two")),
    ],
    "distilled": [
        "compression=[distill]", "compression.distill.teacher=self", "model.layers=2",
        "model.dropout=0.1",
    ],
    "together": [
        "regularization=[ema,layer_drop,dropout_light]",
        "scheduler=plateau",
        "corpus.workers=2",
        "trainer.accumulate_grad_batches=2",
        "optimizer=schedule_free",
        "model.layers=3",
        "freeze=[layers.0]",
        "layer_decay=0.8",
    ],
}  # fmt: skip
KILLS = 50


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


@pytest.mark.parametrize("kind", fast_slow_soak(KINDS, fast=["clm"], slow=["mlm"]))
def test_killed_and_resumed_equals_undisturbed(
    kind: str,
    started: Callable[..., Any],
    wait: Callable[..., None],
    small: Callable[..., list[str]],
    finish: Callable[..., RunFolder],
    tmp_path: Path,
):
    folder = RunFolder(tmp_path / "killed")
    last = folder.checkpoints / "last.ckpt"
    forks = "corpus.workers=2" in KINDS[kind]
    process = started(*small(folder.path, *LONG, *KINDS[kind]), forks=forks, stop_at=HALFWAY)
    wait(process, lambda: last.is_file() and len(read_metrics(folder.metrics)) > 6)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert folder.summary()["status"] == "running"
    newest = CheckpointStore(folder.checkpoints).newest()  # last.ckpt may be on its way
    assert newest is not None
    assert 0 < torch.load(newest.path, weights_only=True)["global_step"] < STEPS
    resumed = started(f"resume={folder.path}", forks=forks)
    _, errors = resumed.communicate()
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


@pytest.mark.soak
def test_fifty_kills_on_the_way_leave_no_trace(
    started: Callable[..., Any],
    small: Callable[..., list[str]],
    finish: Callable[..., RunFolder],
    tmp_path: Path,
):
    """Killed wherever it is, mid-save or mid-validation too, and resumed, again and again."""
    more = [*LONG, "model.dropout=0.1", "corpus.max_samples=50", "budget.steps=4000"]
    more += ["trainer.val_every_n_steps=200", "trainer.log_every_n_steps=50"]
    folder = RunFolder(tmp_path / "killed")
    manifest = folder.checkpoints / "manifest.json"  # written after each checkpoint, in one move
    drawn, kills, overrides = random.Random(0), 0, small(folder.path, *more)
    while True:
        before = manifest.stat().st_mtime_ns if manifest.is_file() else 0
        process = started(*overrides)
        while process.poll() is None:
            if manifest.is_file() and manifest.stat().st_mtime_ns != before:
                break
            time.sleep(0.005)
        if kills < KILLS:
            time.sleep(drawn.random() * 0.7)
            assert process.poll() is None, f"ended after {kills} kills: give it more steps"
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        _, errors = process.communicate()
        overrides = [f"resume={folder.path}"]
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors
    assert kills == KILLS
    undisturbed = finish(*more)
    assert numbers(folder) == numbers(undisturbed)
    mine, theirs = (
        torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
        for run in (folder, undisturbed)
    )
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    assert not list(folder.path.rglob("*partial*"))


@pytest.mark.parametrize("moment", ["on_fit_start", "on_train_start"])
def test_a_signal_before_the_first_step_stops_after_it(
    moment: str, finish: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Meter, moment, lambda *_: signal.raise_signal(signal.SIGTERM))
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(Stopped, match="SIGTERM") as end:
        finish(*LONG, folder=tmp_path)
    assert end.value.exit_code == 143
    folder = RunFolder(tmp_path)
    assert folder.summary()["status"] == "interrupted"
    newest = CheckpointStore(folder.checkpoints).newest()
    assert newest is not None
    assert newest.step == 1
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert signal.set_wakeup_fd(-1) == -1
