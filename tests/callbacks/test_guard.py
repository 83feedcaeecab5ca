"""A diverging run is caught before the step that would spoil the weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from loomlab.callbacks.guard import Diverged
from loomlab.objective.clm import CausalLM

MODEL = ["model.layers=1", "model.width=16", "model.heads=2"]
GUARDED = ["callbacks=[guard,checkpoint]", "callbacks.checkpoint.every_n_train_steps=1"]


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Multiply the loss of given batches by a factor, in the real objective."""

    def install(factors: dict[int, float]) -> None:
        honest = CausalLM.training_step

        def training_step(self, batch, batch_idx):
            return honest(self, batch, batch_idx) * factors.get(batch_idx, 1.0)

        monkeypatch.setattr(CausalLM, "training_step", training_step)

    return install


def finite(folder: Path) -> bool:
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return all(bool(v.isfinite().all()) for v in state.values())


def test_a_loss_that_is_not_finite_stops_before_the_step(train, tmp_path: Path, spoil):
    spoil({3: float("nan")})
    with pytest.raises(Diverged, match=r"step 4 \(batch 3\): the loss is nan"):
        train(*MODEL, *GUARDED, "budget.steps=8")
    assert finite(tmp_path / "run")
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 3


def test_a_learning_rate_that_explodes_stops(train, tmp_path: Path):
    with pytest.raises(Diverged):
        train(
            *MODEL, *GUARDED, "optimizer=sgd", "optimizer.lr=1e30", "budget.steps=20",
            "trainer.gradient_clip_val=null", "scheduler=constant", "scheduler.warmup=0",
        )  # fmt: skip
    assert finite(tmp_path / "run")


def test_skip_leaves_the_bad_step_out(train, spoil):
    spoil({3: float("inf"), 5: float("nan")})
    folder = train(*MODEL, *GUARDED, "budget.steps=8", "callbacks.guard.action=skip")
    assert folder.summary()["status"] == "finished"
    assert finite(folder.path)


def test_skip_gives_up_after_its_patience(train, spoil):
    spoil({n: float("nan") for n in range(3, 20)})
    with pytest.raises(Diverged, match="the 4th in a row"):
        train(*MODEL, *GUARDED, "budget.steps=16", "callbacks.guard.action=skip")


def test_a_spike_is_let_pass_once_and_stops_when_it_stays(train, spoil):
    spoil({20: 50.0})
    assert train(*MODEL, *GUARDED, "budget.steps=24").summary()["status"] == "finished"
    spoil(dict.fromkeys(range(20, 40), 50.0))
    with pytest.raises(Diverged, match="the loss jumped"):
        train(*MODEL, *GUARDED, "budget.steps=40", folder="stays")


def test_it_is_told_in_a_sentence(ended, tiny, tmp_path: Path):
    """Samples are written by the model that the last step spoilt, and leave that to the guard."""
    code, said = ended(
        "train", *tiny(*MODEL, "callbacks=[guard,samples]", "optimizer=sgd", "optimizer.lr=1e30"),
        "budget.steps=20", "trainer.val_every_n_steps=1", "trainer.limit_val_batches=1",
        "trainer.gradient_clip_val=null", "scheduler=constant", "scheduler.warmup=0",
    )  # fmt: skip
    assert code == 1, said
    assert "stopped before the step, the last checkpoint is sound" in said
    assert "Traceback" not in said
    assert "(the model has diverged" in (tmp_path / "run" / "samples.txt").read_text()
