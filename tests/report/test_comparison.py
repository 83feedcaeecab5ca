"""Runs grouped, ranked and set against a baseline, from rows worked out by hand."""

import math
from pathlib import Path

import pytest

from loomlab.errors import InputError
from loomlab.report.comparison import Comparison, compare
from loomlab.report.row import Row
from loomlab.report.settings import of_config
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import DONE, FAILED, PENDING, PRUNED, RUNNING

BITS, ACCURACY = "val/bits_per_byte", "val/accuracy"


def row(
    optimizer: str, seed: int, bits: float | None, state: str = DONE, lr: float = 0.1,
    objective: str = "clm", metric: str = BITS, **costs: float,
) -> Row:  # fmt: skip
    config = {
        "optimizer": {"lr": lr},
        "choice": {"model": "gpt", "objective": objective, "optimizer": optimizer},
    }
    name = f"{optimizer}-{lr}-{seed}"
    return Row(
        name, RunFolder(Path("runs") / name), state, of_config(config), config["choice"], seed,
        metric if state == DONE else None, {} if bits is None else {metric: bits}, costs=costs,
    )  # fmt: skip


def only(rows: list[Row], **how: object) -> Comparison:
    (comparison,) = compare(rows, **how)  # type: ignore[arg-type]
    return comparison


SEEDED = [
    row("adamw", 1, 2.0), row("sgd", 1, 2.5), row("muon", 1, 1.5),
    row("adamw", 2, 4.0), row("sgd", 2, 4.0), row("muon", 2, 2.5),
]  # fmt: skip


def test_runs_equal_but_for_the_seed_are_one():
    comparison = only(SEEDED)
    assert comparison.keys == ["optimizer"]
    assert [(g.label, g.rank, g.mean) for g in comparison.groups] == [
        ("optimizer=muon", 1, 2.0), ("optimizer=adamw", 2, 3.0), ("optimizer=sgd", 3, 3.25)
    ]  # fmt: skip
    assert comparison.groups[1].spread == pytest.approx(math.sqrt(2))
    assert comparison.groups[0].values == {1: 1.5, 2: 2.5}


def test_the_baseline_is_the_first_unless_it_is_named():
    comparison = only(SEEDED)
    assert comparison.baseline is not None
    assert (comparison.baseline.label, comparison.chosen) == ("optimizer=adamw", False)
    assert comparison.baseline.against is None
    muon = comparison.groups[0].against
    assert muon is not None
    assert (muon.mean, muon.low, muon.high, muon.pairs) == (-1.0, -1.5, -0.5, 2)
    for name in ("optimizer=sgd", "sgd-0.1-2", "runs/sgd-0.1-2"):
        named = only(SEEDED, baseline=name)
        assert named.baseline is not None
        assert (named.baseline.label, named.chosen) == ("optimizer=sgd", True)
        assert [g.against and g.against.mean for g in named.groups] == [-1.25, -0.25, None]


def test_the_first_without_a_result_is_no_baseline():
    comparison = only([row("adamw", 1, None, FAILED), *SEEDED[1:3]])
    assert comparison.baseline is not None
    assert comparison.baseline.label == "optimizer=sgd"


def test_a_baseline_by_any_setting_that_is_unmistakable():
    rows = [*SEEDED, row("sgd", 1, 3.0, lr=0.5)]
    assert only(rows, baseline="optimizer.lr=5e-1").chosen
    assert only(rows, baseline="optimizer=sgd optimizer.lr=0.1").chosen
    with pytest.raises(InputError, match="fits 2 settings: give one of them whole"):
        compare(rows, baseline="optimizer=sgd")
    with pytest.raises(
        InputError, match=r"'optimizer=sgdd' is no run.*did you mean optimizer=sgd"
    ):
        compare(rows, baseline="optimizer=sgdd")


def test_runs_that_are_not_done_are_shown_but_not_counted():
    rows = [
        row("adamw", 1, 3.0), row("adamw", 2, 1.0, PRUNED), row("sgd", 1, 0.5, RUNNING),
        row("muon", 1, None, PENDING),
    ]  # fmt: skip
    adamw, sgd, muon = only(rows).groups
    assert (adamw.values, adamw.so_far, adamw.rank) == ({1: 3.0}, 1.0, 1)
    assert (sgd.mean, sgd.so_far, sgd.rank, sgd.against) == (None, 0.5, None, None)
    assert (muon.label, muon.rank) == ("optimizer=muon", None)


def test_a_setting_that_diverged_comes_after_those_that_did_not():
    rows = [*SEEDED, row("muon", 3, math.nan)]
    groups = only(rows).groups
    assert [g.label for g in groups] == ["optimizer=adamw", "optimizer=sgd", "optimizer=muon"]
    assert (groups[2].mean, groups[2].diverged, groups[2].rank) == (2.0, 1, 3)
    lost = only([row("adamw", 1, math.nan), row("sgd", 1, 1.0)]).groups[1]
    assert (lost.mean, lost.diverged, lost.rank) == (None, 1, 2)


def test_more_is_better_of_accuracies():
    labels = [row(o, 1, a, objective="classification", metric=ACCURACY)
              for o, a in (("adamw", 0.8), ("sgd", 0.9))]  # fmt: skip
    comparison = only(labels)
    assert (comparison.metric, comparison.more_is_better) == (ACCURACY, True)
    assert [g.label for g in comparison.groups] == ["optimizer=sgd", "optimizer=adamw"]


def test_kinds_that_have_no_number_in_common_stand_apart():
    rows = [
        *SEEDED, row("adamw", 1, 0.5, objective="mlm"),
        row("adamw", 1, 0.9, objective="classification", metric=ACCURACY),
        row("sgd", 1, None, FAILED, objective="classification"),
    ]  # fmt: skip
    text, masked, labels = compare(rows)
    assert [len(c.groups) for c in (text, masked, labels)] == [3, 1, 2]
    assert (text.kind, masked.kind, labels.kind)[::2] == ("", "models of labels")
    assert masked.keys == [], "the objective is the same within a kind"
    assert labels.groups[1].rows[0].state == FAILED


def test_numbers_stand_apart_from_labels():
    """Both are no likelihoods, and have unlike numbers; a run that failed goes with its kind."""
    rows = [
        row("adamw", 1, 0.9, objective="classification", metric=ACCURACY),
        *(row(o, 1, v, objective="regression", metric="val/rmse")
          for o, v in (("adamw", 3.0), ("sgd", 2.0))),
        row("muon", 1, None, FAILED, objective="regression"),
    ]  # fmt: skip
    for one in rows[1:3]:
        one.summary["kind"] = "numbers"
    labels, numbers = compare(rows)
    assert (labels.kind, numbers.kind) == ("models of labels", "models of numbers")
    assert (numbers.metric, numbers.more_is_better) == ("val/rmse", False)
    assert [g.label.split()[0] for g in numbers.groups][:2] == ["optimizer=sgd", "optimizer=adamw"]
    assert numbers.groups[2].rows[0].state == FAILED


def test_any_number_ranks_and_an_unknown_one_is_refused():
    rows = [row("adamw", 1, 2.0, seconds=9.0), row("sgd", 1, 3.0, seconds=4.0)]
    assert only(rows, metric="bits_per_byte").metric == BITS
    assert only(rows, metric="seconds").groups[0].label == "optimizer=sgd"
    with pytest.raises(InputError, match="--metric secnods: no run has it; did you mean seconds"):
        compare(rows, metric="secnods")


def test_a_run_without_the_metric_is_unranked():
    groups = only([row("lion", 1, None), *SEEDED]).groups
    assert [g.rank for g in groups] == [1, 2, 3, None]
    assert (groups[3].label, groups[3].mean, groups[3].against) == ("optimizer=lion", None, None)


def test_the_front_is_of_means():
    rows = [
        row("adamw", 1, 2.0, parameters=100.0), row("sgd", 1, 1.0, parameters=200.0),
        row("muon", 1, 3.0, parameters=50.0), row("lion", 1, 2.5, parameters=150.0),
        row("none", 1, 0.1), row("wild", 1, math.nan, parameters=1.0),
    ]  # fmt: skip
    comparison = only(rows, costs=("parameters",))
    on_front = {g.rows[0].choice["optimizer"] for g in comparison.groups if g.on_front}
    assert on_front == {"adamw", "sgd", "muon"}
    assert not any(g.on_front for g in only(rows).groups)


def test_the_same_seed_twice_is_one_value():
    group = only([row("adamw", 1, 2.0), row("adamw", 1, 4.0), row("adamw", 2, 1.0)]).groups[0]
    assert group.values == {1: 3.0, 2: 1.0}
    assert len(group.rows) == 3
