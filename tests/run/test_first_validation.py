"""A validation before the first step: what a run begins with, and nothing else changes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from loomlab.callbacks.checkpoint import Checkpoint
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
SMALL = ["model.layers=1", "model.width=16", "model.heads=2", "callbacks=[checkpoint]"]
GIVEN = [*SMALL, "budget.steps=3", "trainer.val_every_n_steps=2", "model.dropout=0.1"]
FIRST = [*GIVEN, "trainer.val_at_start=true"]


def held_out(folder: RunFolder) -> dict[int, float]:
    rows = read_metrics(folder.metrics)
    return {row["step"]: row["val/loss"] for row in rows if "val/loss" in row}


def same_weights(one: RunFolder, other: RunFolder) -> bool:
    found, wanted = (load_file(f.model / "model.safetensors") for f in (one, other))
    return all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_step_0_is_what_the_weights_could_do_before(train: Train, train_once: Train):
    """The numbers of a run that begins with trained weights are those these had at the end."""
    before = train_once(*GIVEN)
    after = train(*FIRST, f"init={before.path}", folder="after")
    assert list(held_out(before)) == [2, 3]
    assert list(held_out(after)) == [0, 2, 3]
    assert held_out(after)[0] == pytest.approx(before.summary()["best"]["val/loss"], abs=1e-6)
    assert read_metrics(after.metrics)[0]["tokens"] == 0


def test_training_is_the_same_to_the_bit(train_once: Train):
    plain, looked = train_once(*GIVEN), train_once(*FIRST)
    first, *rest = held_out(looked).items()
    assert first[0] == 0
    assert dict(rest) == held_out(plain)
    assert same_weights(looked, plain)


def test_a_run_that_got_no_further_is_resumed(
    train: Train, train_once: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Ended within the first validation: its state of step 0 leads to the same weights."""
    whole = train_once(*FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_validation_end", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            train(*FIRST)
    begun = RunFolder(tmp_path / "run")
    assert not begun.model.exists()
    train(*FIRST, f"resume={begun.path}")
    assert held_out(begun) == held_out(whole)
    assert same_weights(begun, whole)
