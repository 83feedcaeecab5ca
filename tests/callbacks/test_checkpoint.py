"""Checkpoints: the last state and the best one, whole or not there."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from loomlab.callbacks.checkpoint import (
    kept_random_state,
    monitored,
    random_state,
    set_random_state,
)
from loomlab.compose.composer import compose_job, composing
from loomlab.precision.fp32 import FP32
from loomlab.run.assembly import assemble
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics
from loomlab.run.prepared import record_choice
from loomlab.run.trainer import build_trainer

MODEL = ["model.layers=1", "model.width=16", "model.heads=2"]
# Steps that are far too large: what was reached is lost again, so the best is not the last.
DIVERGING = ["optimizer=sgd", "optimizer.lr=10", "scheduler=constant", "scheduler.warmup=0"]
RUN = [*MODEL, "callbacks=[checkpoint]", "trainer.val_every_n_steps=1", "budget.steps=5"]


def load(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True)


def files(folder: RunFolder) -> set[str]:
    return {path.name for path in folder.checkpoints.iterdir()}


def held_out(folder: RunFolder) -> dict[int, float]:
    rows = read_metrics(folder.metrics)
    return {r["step"]: r["val/bits_per_byte"] for r in rows if "val/bits_per_byte" in r}


def test_best_and_last(train_once: Callable[..., RunFolder]):
    folder = train_once(*RUN, *DIVERGING)
    curve = held_out(folder)
    best_step = min(curve, key=curve.__getitem__)
    assert list(curve) == [1, 2, 3, 4, 5]
    assert best_step < 5, "this run is meant to get worse"
    assert files(folder) >= {"best.ckpt", "last.ckpt"}
    assert not list(folder.path.rglob("*.partial*"))
    best, last = load(folder.checkpoints / "best.ckpt"), load(folder.checkpoints / "last.ckpt")
    assert best["global_step"] == best_step
    assert last["global_step"] == 5
    assert last["callbacks"]["Checkpoint"]["best_step"] == best_step
    assert last["callbacks"]["Checkpoint"]["best"] == pytest.approx(curve[best_step], rel=1e-6)


def test_the_exported_model_is_the_best_one(train_once: Callable[..., RunFolder]):
    folder = train_once(*RUN, *DIVERGING)
    summary, curve = folder.summary(), held_out(folder)
    assert summary["best"]["val/bits_per_byte"] == pytest.approx(min(curve.values()), rel=1e-5)
    assert summary["final"]["val/bits_per_byte"] == pytest.approx(curve[5], rel=1e-5)


def test_without_keep_best_the_last_weights_are_exported(train: Callable[..., RunFolder]):
    folder = train(*RUN, *DIVERGING, "callbacks.checkpoint.keep_best=false")
    summary = folder.summary()
    assert "best.ckpt" not in files(folder)
    assert summary["best"]["val/bits_per_byte"] == pytest.approx(
        summary["final"]["val/bits_per_byte"], rel=1e-5
    )


def test_another_metric_can_be_watched(train: Callable[..., RunFolder]):
    folder = train(*RUN, "callbacks.checkpoint.monitor=val/loss")
    losses = [r["val/loss"] for r in read_metrics(folder.metrics) if "val/loss" in r]
    state = load(folder.checkpoints / "last.ckpt")["callbacks"]["Checkpoint"]
    assert state["best"] == pytest.approx(min(losses), rel=1e-6)


def test_a_metric_says_itself_which_way_is_better(train: Callable[..., RunFolder]):
    folder = train(
        *RUN, "callbacks.checkpoint.monitor=val/accuracy", "budget.steps=20", "optimizer.lr=0.02",
        "trainer.val_every_n_steps=4",
    )  # fmt: skip
    rows = {r["val/accuracy"] for r in read_metrics(folder.metrics) if "val/accuracy" in r}
    assert len(rows) > 1
    state = load(folder.checkpoints / "last.ckpt")["callbacks"]["Checkpoint"]
    assert -state["best"] == pytest.approx(max(rows), rel=1e-6)
    assert folder.summary()["best"]["val/accuracy"] == pytest.approx(max(rows), rel=1e-6)


def test_a_metric_has_the_sign_that_makes_less_better():
    numbers = {"val/loss": torch.tensor(2.0), "val/accuracy": torch.tensor(0.5)}
    trainer: Any = SimpleNamespace(callback_metrics=numbers)
    module: Any = SimpleNamespace(best_by=("val/loss", "min"), more_is_better={"accuracy"})
    assert monitored(trainer, module, None, None) == 2.0
    assert monitored(trainer, module, None, "max") == -2.0
    assert monitored(trainer, module, "val/accuracy", None) == -0.5
    assert monitored(trainer, module, "val/accuracy", "min") == 0.5
    assert monitored(trainer, module, "val/perplexity", None) is None


def drawn() -> list[float]:
    """A number of every generator, and one that each keeps half of."""
    return [
        float(torch.rand(())), random.random(), random.gauss(), np.random.random(),
        np.random.standard_normal(),
    ]  # fmt: skip


def test_every_generator_goes_on_where_it_was(tmp_path: Path):
    before = random_state()
    try:
        drawn()
        torch.save(random_state(), tmp_path / "state")
        expected = drawn()
        set_random_state(load(tmp_path / "state"))
        with kept_random_state():
            drawn()
        assert drawn() == expected
    finally:
        set_random_state(before)


class Watch(pl.Callback):
    """Notes the step that last.ckpt holds after every micro-batch."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.seen: list[tuple[int, int]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        path = self.folder.checkpoints / "last.ckpt"
        saved = load(path)["global_step"] if path.is_file() else 0
        self.seen.append((trainer.global_step, saved))
        assert not list(self.folder.path.rglob("*.partial"))


def test_every_n_train_steps_counts_optimizer_steps(tiny: Callable[..., list[str]]):
    every = ["callbacks=[checkpoint]", "callbacks.checkpoint.every_n_train_steps=2"]
    accumulated = [
        "trainer.accumulate_grad_batches=2", "budget.steps=5", "trainer.val_every_n_steps=5",
    ]  # fmt: skip
    with composing():
        config = record_choice(compose_job(tiny(*MODEL, *every, *accumulated)))
    folder = RunFolder(config.paths.output_dir)
    folder.create(config, [])
    parts = assemble(config, folder)
    trainer = build_trainer(config, parts, folder, FP32())
    last = {type(callback).__name__ for callback in trainer.callbacks[-2:]}
    assert last == {"Checkpoint", "Shutdown"}, "what others did at a step is in its state"
    watch = Watch(folder)
    trainer.callbacks.append(watch)
    trainer.fit(parts.objective, datamodule=parts.corpus)
    micro_batches = [
        *[(0, 0), (1, 0), (1, 0), (2, 2), (2, 2)],
        *[(3, 2), (3, 2), (4, 4), (4, 4), (5, 4)],
    ]
    assert watch.seen == micro_batches
    assert load(folder.checkpoints / "last.ckpt")["global_step"] == 5


def test_a_resumed_run_remembers_its_best(
    train: Callable[..., RunFolder], train_once: Callable[..., RunFolder], tmp_path: Path
):
    folder = RunFolder(shutil.copytree(train_once(*RUN, *DIVERGING).path, tmp_path / "run"))
    before = load(folder.checkpoints / "last.ckpt")["callbacks"]["Checkpoint"]
    best = (folder.checkpoints / "best.ckpt").read_bytes()
    train(*RUN, *DIVERGING, "budget.steps=7", f"resume={folder.path}")
    after = load(folder.checkpoints / "last.ckpt")
    assert after["global_step"] == 7
    assert after["callbacks"]["Checkpoint"]["best"] <= before["best"]
    if after["callbacks"]["Checkpoint"]["best_step"] == before["best_step"]:
        assert (folder.checkpoints / "best.ckpt").read_bytes() == best


class Cut(BaseException):
    """The end of a process, as far as a test can have one."""


class CutOff(pl.Callback):
    """Ends the run in the middle of the validation of a step, or just before it."""

    def __init__(self, step: int, before: bool) -> None:
        self.step, self.before = step, before

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step and not self.before:
            raise Cut

    def on_validation_start(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step and self.before:
            raise Cut


@pytest.mark.parametrize(
    ("every", "before"),
    [
        ("null", False),
        ("2", True),  # its state is saved by then
        ("3", False),
        *(pytest.param(*p, marks=pytest.mark.soak)
          for p in (("null", True), ("2", False), ("3", True))),
    ],
)  # fmt: skip
def test_a_validation_cut_off_is_done_first_when_resumed(
    train: Callable[..., RunFolder], train_once: Callable[..., RunFolder],
    tiny: Callable[..., list[str]], every: str, before: bool,
):  # fmt: skip
    shared = [*RUN, *DIVERGING, "trainer.val_every_n_steps=2", "budget.steps=6"]
    whole = train_once(*shared)
    settings = [*shared, f"callbacks.checkpoint.every_n_train_steps={every}"]
    with composing():
        config = record_choice(compose_job(tiny(*settings)))
    folder = RunFolder(config.paths.output_dir)
    folder.create(config, tiny(*settings))
    parts = assemble(config, folder)
    trainer = build_trainer(config, parts, folder, FP32())
    at = 0 if before and every == "2" else len(trainer.callbacks)  # its state is saved by then
    trainer.callbacks.insert(at, CutOff(4, before))
    with pytest.raises(Cut):
        trainer.fit(parts.objective, datamodule=parts.corpus)
    train(*settings, f"resume={folder.path}")
    assert held_out(folder) == held_out(whole)
    best = [load(f.checkpoints / "best.ckpt") for f in (whole, folder)]
    assert best[0]["global_step"] == best[1]["global_step"]
    for key, value in best[0]["state_dict"].items():
        assert torch.equal(value, best[1]["state_dict"][key])
