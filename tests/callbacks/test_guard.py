"""A diverging run is caught before the step that would spoil the weights."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from loomlab.callbacks.guard import Diverged, Guard
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


LEVEL = [1.0, 1.2] * 8  # mean 1.1, deviation 0.1: just enough of them to judge by
SPIKE = 1.1 + 6.1 * 0.1


def judge(
    guard: Guard, losses: list[float], gradient: float = 0.0, others: float | None = None
) -> nn.Module:
    """Let a guard judge steps of these losses; the model with what is left of the last one.

    `others`: the loss of another process.
    """
    model = nn.Linear(1, 1)

    def reduce(loss: torch.Tensor, reduce_op: str) -> torch.Tensor:
        return {"mean": loss if others is None else (loss + others) / 2}[reduce_op]

    alone: Any = SimpleNamespace(global_step=0, strategy=SimpleNamespace(reduce=reduce))
    for number, loss in enumerate(losses):
        model.weight.grad = torch.full((1, 1), gradient)
        guard.on_train_batch_start(alone, model, None, number)  # type: ignore[arg-type]
        guard.on_before_backward(alone, model, torch.tensor(loss))  # type: ignore[arg-type]
        guard.on_before_optimizer_step(alone, model, None)  # type: ignore[arg-type]
    return model


def test_processes_judge_the_loss_of_all():
    """One that stopped by its own would leave the others waiting for its gradients."""
    for own, other in ((1.0, math.nan), (math.nan, 1.0)):
        with pytest.raises(Diverged, match="the loss is nan"):
            judge(Guard(), [own], others=other)
    skipping, waiting = Guard(action="skip"), Guard(action="skip")
    for guard, own, other in ((skipping, math.inf, 1.0), (waiting, 1.0, math.inf)):
        model = judge(guard, [own], gradient=1.0, others=other)
        assert all(parameter.grad is None for parameter in model.parameters())
    assert skipping.state_dict() == waiting.state_dict()


def test_a_spike_is_so_many_deviations_above_the_mean(caplog: pytest.LogCaptureFixture):
    judge(Guard(patience=1), [*LEVEL, 1.1 + 5.9 * 0.1, -50.0])
    judge(Guard(patience=1), [*LEVEL[1:], SPIKE])  # too few to judge by
    judge(Guard(), [*LEVEL, SPIKE])
    assert "step 1 (batch 16): the loss jumped to 1.71" in caplog.text
    with pytest.raises(Diverged, match="the loss jumped"):
        judge(Guard(patience=1), [*LEVEL, SPIKE])


def test_what_is_a_spike_is_no_measure_for_the_next():
    judge(Guard(), [*LEVEL, *[SPIKE] * 3, 1.1, *[SPIKE] * 3])
    with pytest.raises(Diverged, match="the loss jumped"):
        judge(Guard(), [*LEVEL, *[SPIKE] * 4])


def test_only_the_last_window_counts():
    with pytest.raises(Diverged, match="the loss jumped"):
        judge(Guard(window=16, patience=1), [*[0.0, 9.0] * 8, *LEVEL, SPIKE])


def test_a_resumed_run_judges_as_the_first_one_would():
    before, after = Guard(patience=2), Guard(patience=2)
    judge(before, [*LEVEL, SPIKE])
    after.load_state_dict(before.state_dict())
    with pytest.raises(Diverged, match="the loss jumped"):
        judge(after, [SPIKE])


def test_a_gradient_that_is_not_finite_stops_as_well():
    with pytest.raises(Diverged, match="a gradient is not finite"):
        judge(Guard(), [1.0], gradient=math.inf)


def test_skip_takes_the_step_of_a_spike_away(caplog: pytest.LogCaptureFixture):
    assert judge(Guard(action="skip"), LEVEL, gradient=1.0).weight.grad is not None
    model = judge(Guard(action="skip"), [*LEVEL, SPIKE], gradient=1.0)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert "the step is skipped" in caplog.text
