"""The same code on a GPU: `make test-gpu` where there is one; skipped by name elsewhere."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from loomlab import device
from loomlab.callbacks.store import CheckpointStore, read_state
from loomlab.entry.cli import main
from loomlab.run.evaluation import evaluate
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here"),
]
Train = Callable[..., RunFolder]
Tiny = Callable[..., list[str]]
SMALL = ["model.layers=2", "model.width=64", "model.heads=2"]
RUN = [*SMALL, "budget.steps=8", "callbacks=[checkpoint]", "optimizer.lr=0.01"]
CONSTANT = ["scheduler=constant", "scheduler.warmup=0"]
KINDS = {
    "gpt": [],
    "bert": ["model=bert", "objective=mlm"],
    "rope, window": ["position=rope", "attention=sliding_window", "attention.window=4"],
    "muon": ["optimizer=muon"],
    "ema": ["regularization=[ema]"],
    "lora": ["compression=[lora]"],
}


def losses(folder: RunFolder) -> list[float]:
    return [row["train/loss"] for row in read_metrics(folder.metrics) if "train/loss" in row]


def on_cpu(*arguments: str) -> None:
    """`loom` in a process that sees no GPU."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "loomlab", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_training_is_there():
    assert device.device().type == "cuda"
    assert device.accelerator() == "gpu"


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_learns_and_is_the_one_of_a_processor(
    train: Train, tiny: Tiny, tmp_path: Path, kind: str
):
    torch.cuda.reset_peak_memory_stats()
    here = train(*RUN, *KINDS[kind], folder="here")
    assert torch.cuda.max_memory_allocated() > 0
    assert losses(here)[-1] < losses(here)[0]
    on_cpu("train", *tiny(*RUN, *KINDS[kind], folder="there"))
    there = losses(RunFolder(tmp_path / "there"))
    assert losses(here) == pytest.approx(there, abs=2e-2)


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_bf16(train: Train, precision: str):
    whole = train(*RUN, folder="whole")
    half = train(*RUN, f"precision={precision}", folder="half")
    assert half.summary()["precision"] == "bf16-mixed"
    assert losses(half) == pytest.approx(losses(whole), abs=0.1)


def test_compiled(train: Train):
    plain = train(*RUN, folder="plain")
    compiled = train(*RUN, "compile=default", folder="compiled")
    assert losses(compiled) == pytest.approx(losses(plain), abs=1e-2)


def test_a_resumed_run_is_the_unbroken_one(train: Train):
    whole = train(*RUN, *CONSTANT, folder="whole")
    half = train(*RUN, *CONSTANT, "budget.steps=4", folder="part")
    part = train(*RUN, *CONSTANT, f"resume={half.path}", folder="part")
    assert [row["step"] for row in read_metrics(part.metrics)] == list(range(1, 9))
    assert losses(part) == pytest.approx(losses(whole), abs=1e-4)


@pytest.mark.parametrize("starts", ["here", "there"])
def test_a_checkpoint_moves_between_processor_and_gpu(
    train: Train, tiny: Tiny, tmp_path: Path, starts: str
):
    folder = RunFolder(tmp_path / "run")
    if starts == "here":
        train(*RUN, *CONSTANT, folder="run")
        on_cpu("train", f"resume={folder.path}", "budget.steps=12")
    else:
        on_cpu("train", *tiny(*RUN, *CONSTANT))
        train(*RUN, *CONSTANT, "budget.steps=12", f"resume={folder.path}", folder="run")
    assert [row["step"] for row in read_metrics(folder.metrics)] == list(range(1, 13))
    assert all(math.isfinite(loss) for loss in losses(folder))
    newest = CheckpointStore(folder.checkpoints).newest()
    assert newest is not None
    assert newest.step == 12
    assert {v.device.type for v in read_state(newest.path)["state_dict"].values()} == {"cpu"}


def test_evaluation_is_there_and_says_what_training_said(train: Train):
    folder = train(*RUN, "trainer.limit_val_batches=null")
    objective, corpus = FinishedRun(folder.path).with_corpus()
    seen = set()
    objective.model.register_forward_hook(lambda m, i, out: seen.add(out.logits.device.type))
    numbers = evaluate(objective, corpus, bf16=False)
    assert seen <= {"cuda"}
    best = folder.summary()["best"]
    assert numbers["val/loss"] == pytest.approx(best["val/loss"], abs=1e-3)


def test_text_is_written_there(train: Train, capsys: pytest.CaptureFixture[str]):
    folder = train(*RUN)
    assert FinishedRun(folder.path).ready().device.type == "cuda"
    with pytest.raises(SystemExit) as end:
        main(["generate", str(folder.path), "--prompt", "Alice"])
    assert end.value.code == 0
    assert "Alice" in capsys.readouterr().out


def test_lora_ends_in_a_plain_model(train: Train):
    folder = train(*RUN, "compression=[lora]")
    assert not [name for name in load_file(folder.model / "model.safetensors") if "lora" in name]
