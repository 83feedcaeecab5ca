"""The range test finds a sensible rate and leaves no trace but its finding."""

import csv
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from tests.marks import fast_slow_soak

from loomlab.callbacks.lr_finder import Tried, steepest
from loomlab.compose.gate import check
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

MODEL = ["model.layers=1", "model.width=16", "model.heads=2", "model.dropout=0.2"]
RUN = [*MODEL, "budget.steps=4", "scheduler=constant", "scheduler.warmup=0"]
FINDER = ["callbacks=[checkpoint,lr_finder]", "callbacks.lr_finder.steps=40"]
FOUND = [*RUN, *FINDER, "callbacks.lr_finder.highest=100"]


def state(folder: RunFolder) -> dict:
    return torch.load(folder.checkpoints / "last.ckpt", weights_only=True)


def numbers(folder: RunFolder) -> list[dict[str, float]]:
    return [
        {k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(folder.metrics)
    ]


@pytest.mark.parametrize(
    "optimizer",
    fast_slow_soak(
        ["adamw", "sgd", "muon", "schedule_free"], fast=["adamw"], slow=["muon", "schedule_free"]
    ),
)
def test_without_apply_the_run_is_bit_identical(
    train: Callable[..., RunFolder], train_once: Callable[..., RunFolder], optimizer: str
):
    chosen = f"optimizer={optimizer}"
    plain = train(*RUN, chosen, "callbacks=[checkpoint]")
    found = train_once(*FOUND, chosen)
    assert numbers(plain) == numbers(found)
    one, other = state(plain), state(found)
    assert all(torch.equal(v, other["state_dict"][k]) for k, v in one["state_dict"].items())
    assert str(one["optimizer_states"]) == str(other["optimizer_states"])
    assert one["lr_schedulers"] == other["lr_schedulers"]
    random = [s["callbacks"]["Checkpoint"]["random"] for s in (one, other)]
    assert torch.equal(random[0]["torch"], random[1]["torch"])
    assert random[0]["numpy"] == random[1]["numpy"]
    data = [next(v for k, v in s.items() if "consumed" in str(v)[:20]) for s in (one, other)]
    assert data[0] == data[1]


def test_curve_picture_and_suggestion(train_once: Callable[..., RunFolder]):
    folder = train_once(*FOUND, "optimizer=adamw")
    with (folder.path / "lr_finder.csv").open(newline="") as file:
        curve = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert list(curve[0]) == ["lr", "loss", "smoothed"]
    assert curve[0]["lr"] == pytest.approx(1e-6)
    ratios = [b["lr"] / a["lr"] for a, b in pairwise(curve)]
    assert ratios == pytest.approx([(100 / 1e-6) ** (1 / 39)] * len(ratios))
    for number, tried in enumerate(curve, start=1):
        weights = [0.8 ** (number - before) for before in range(1, number + 1)]
        losses = [c["loss"] for c in curve[:number]]
        assert tried["smoothed"] == pytest.approx(np.average(losses, weights=weights))
    lowest = min(c["smoothed"] for c in curve)
    assert curve[-1]["lr"] == pytest.approx(100) or curve[-1]["smoothed"] < 3 * lowest
    assert (folder.path / "lr_finder.png").read_bytes().startswith(b"\x89PNG")
    said = folder.summary()["reports"]["LRFinder"]
    assert said["applied"] is False
    assert said["suggested_lr"] in [c["lr"] for c in curve]
    assert 1e-5 < said["suggested_lr"] < 10


@pytest.mark.parametrize("optimizer", fast_slow_soak(["adamw", "muon"], ["adamw"], ["muon"]))
def test_apply_trains_as_if_the_rate_had_been_given(
    train: Callable[..., RunFolder], optimizer: str
):
    given = [*RUN, f"optimizer={optimizer}", "scheduler=cosine", "scheduler.warmup=2"]
    applied = train(
        *given, *FINDER, "callbacks.lr_finder.apply=true", "optimizer.lr=0.001", folder="applied"
    )
    lr = applied.summary()["reports"]["LRFinder"]["suggested_lr"]
    rates = [r["train/lr"] for r in read_metrics(applied.metrics) if "train/lr" in r]
    assert max(rates) == pytest.approx(lr)
    if optimizer == "adamw":
        direct = train(*given, "callbacks=[checkpoint]", f"optimizer.lr={lr!r}", folder="direct")
        one, other = state(applied)["state_dict"], state(direct)["state_dict"]
        assert all(torch.allclose(v, other[k], atol=1e-6) for k, v in one.items())


@pytest.mark.slow
def test_a_resumed_run_keeps_the_rate_and_tests_no_more(train: Callable[..., RunFolder]):
    given = [*RUN, *FINDER, "callbacks.lr_finder.apply=true"]
    whole = train(*given, folder="whole")
    part = train(*given, "budget.steps=2", folder="part")
    table = part.path / "lr_finder.csv"
    written = table.stat().st_mtime_ns
    train(*given, f"resume={part.path}", folder="part")
    assert table.stat().st_mtime_ns == written
    assert part.summary()["reports"] == whole.summary()["reports"]
    one, other = state(whole)["state_dict"], state(part)["state_dict"]
    assert all(torch.equal(v, other[k]) for k, v in one.items())


def test_a_range_that_is_none_is_refused(tiny: Callable[..., list[str]]):
    given = tiny("callbacks=[lr_finder]", "callbacks.lr_finder.lowest=2")
    message = check(given).message()
    assert "callbacks.lr_finder.highest: 1 is not above lowest=2" in message


def test_another_precision(train: Callable[..., RunFolder]):
    folder = train(*RUN, *FINDER, "precision=bf16", "trainer.accumulate_grad_batches=2")
    assert folder.summary()["reports"]["LRFinder"]["suggested_lr"] > 0


def test_the_steepest_descent_is_suggested():
    losses = [5.0, 5.0, 4.9, 4.5, 3.0, 2.5, 2.4, 9.0]
    curve = [Tried(10.0**-n, loss, loss) for n, loss in zip(range(8, 0, -1), losses, strict=True)]
    assert steepest(curve) == 10.0**-4, "between 4.5 and 2.5"
    spike = [*losses[:-1], 20.0, 12.0, 6.0, 5.0]  # it explodes, and comes back by half
    curve = [Tried(10.0**n, loss, loss) for n, loss in enumerate(spike, -8)]
    assert steepest(curve) == 10.0**-4, "falling from a height is no learning"
    rising = [Tried(10.0**n, n, n) for n in range(8)]
    assert steepest(rising) is None
    assert steepest(curve[:1]) is None
