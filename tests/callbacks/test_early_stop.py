"""Training ends when the held-out metric no longer improves, and says why."""

import logging
from collections.abc import Callable

import pytest
import torch

from loomlab.compose.gate import check
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

RUN = [
    *("model.layers=1", "model.width=16", "model.heads=2"),
    *("trainer.val_every_n_steps=1", "budget.steps=12"),
]
STOPPING = [*RUN, "callbacks=[early_stop,checkpoint]", "callbacks.early_stop.patience=2"]
# Steps that are far too large: the first validation stays the best.
WORSE = ["optimizer=sgd", "optimizer.lr=10", "scheduler=constant", "scheduler.warmup=0"]
DELTA = "callbacks.early_stop.min_delta"
FAR = [*STOPPING, f"{DELTA}=100", "scheduler=constant"]


def held_out(folder: RunFolder, name: str = "val/bits_per_byte") -> dict[int, float]:
    return {r["step"]: r[name] for r in read_metrics(folder.metrics) if name in r}


def expected_stop(curve: dict[int, float], patience: int, delta: float = 0.0) -> int:
    best, wait = float("inf"), 0
    for step, value in curve.items():
        best, wait = (value, 0) if value < best - delta else (best, wait + 1)
        if wait == patience:
            return step
    return max(curve)


def test_stops_after_its_patience_and_says_why(
    train: Callable[..., RunFolder], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "loomlab")
    whole = train(*RUN, *WORSE, "callbacks=[checkpoint]", folder="whole")
    folder = train(*STOPPING, *WORSE)
    step = expected_stop(held_out(whole), patience=2)
    assert step < 12, "this run is meant to get worse"
    summary = folder.summary()
    assert (summary["status"], summary["steps"]) == ("finished", step)
    assert held_out(folder) == {k: v for k, v in held_out(whole).items() if k <= step}
    said = summary["reports"]["EarlyStop"]
    assert said["stopped_at_step"] == step
    assert "val/bits_per_byte has not improved" in said["because"]
    assert any(said["because"] in record.getMessage() for record in caplog.records)


def test_a_run_that_improves_is_left_alone(train: Callable[..., RunFolder]):
    folder = train(*STOPPING, "budget.steps=4")
    assert folder.summary()["steps"] == 4
    assert "EarlyStop" not in folder.summary()["reports"]


def test_an_improvement_must_exceed_min_delta(train_once: Callable[..., RunFolder]):
    folder = train_once(*FAR)
    assert folder.summary()["steps"] == 3, "the first value, and two that are not better by 100"


def test_a_metric_of_which_more_is_better(train: Callable[..., RunFolder]):
    folder = train(*STOPPING, "callbacks.early_stop.monitor=val/accuracy", f"{DELTA}=0.9")
    said = folder.summary()["reports"]["EarlyStop"]
    first = held_out(folder, "val/accuracy")[1]
    assert said["stopped_at_step"] == 3
    assert f"on {first:.6g} (step 1)" in said["because"]


@pytest.mark.parametrize("interrupted_at", [2, 3])
def test_a_resumed_run_stops_at_the_same_step(
    train: Callable[..., RunFolder], train_once: Callable[..., RunFolder], interrupted_at: int
):
    """Interrupted before the stop, or between the stop and the end of the run."""
    whole = train_once(*FAR)
    part = train(*FAR, f"budget.steps={interrupted_at}")
    train(*FAR, f"resume={part.path}")
    assert part.summary()["steps"] == whole.summary()["steps"] == 3
    assert part.summary()["reports"] == whole.summary()["reports"]
    last = [
        torch.load(f.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
        for f in (whole, part)
    ]
    assert all(torch.equal(last[0][key], last[1][key]) for key in last[0])


def test_an_unknown_monitor_is_refused_before_training(tiny: Callable[..., list[str]]):
    given = tiny("callbacks=[early_stop]", "callbacks.early_stop.monitor=val/perplexty")
    message = check(given).message()
    assert "callbacks.early_stop.monitor" in message
    assert "val/perplexity" in message
