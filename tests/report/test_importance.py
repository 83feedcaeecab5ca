"""Importance: the setting that decides is found, chance is not rewarded."""

import random

import pytest

from loomlab.report.importance import importance, ranked


def test_a_setting_that_decides_has_all_and_one_that_does_not_has_none():
    options = ["a", "b", "c"] * 4
    values = [{"a": 1.0, "b": 2.0, "c": 3.0}[o] for o in options]
    other = ["x"] * 6 + ["y"] * 6
    assert importance("decides", options, values).share == pytest.approx(1)
    assert importance("other", other, values).share == 0


def test_it_is_epsilon_squared_of_ranks():
    found = importance("s", ["a", "a", "b", "b"], [1.0, 3.0, 2.0, 400.0])
    # ranks 0 2 | 1 3: within 2 + 2 over 2 degrees, total 5 over 3
    assert found.share == pytest.approx(max(0, 1 - (4 / 2) / (5 / 3)))
    found = importance("s", ["a", "a", "b", "b"], [1.0, 2.0, 3.0, 400.0])
    assert found.share == pytest.approx(1 - (1 / 2) / (5 / 3))
    assert (found.runs, found.groups) == (4, 2)


def test_chance_is_not_rewarded():
    dice = random.Random(0)
    shares = []
    for _ in range(200):
        values = [dice.random() for _ in range(12)]
        shares.append(importance("s", list("aabbccddeeff"), values).share)
    assert sum(shares) / 200 < 0.2, "the plain share of variance would be 5/11"


def test_numbers_of_a_search_are_put_into_groups():
    dice = random.Random(1)
    rates = [10 ** dice.uniform(-5, -1) for _ in range(40)]
    values = [abs(i) for i in rates]
    found = importance("lr", rates, values)
    assert found.groups == 4
    assert found.share > 0.8
    assert importance("lr", rates, [dice.random() for _ in rates]).share < 0.3


def test_too_few_runs_and_equal_results_cannot_be_told():
    assert importance("s", ["a", "b", "c"], [1.0, 2.0, 3.0]).share is None
    assert importance("s", ["a", "a"], [1.0, 2.0]).share is None
    assert importance("s", ["a", "a", "b", "b"], [1.0] * 4).share is None
    assert importance("s", [], []).share is None


def test_a_run_that_diverged_does_not_decide():
    options, values = ["a", "a", "a", "b", "b", "b"], [1.0, 1.1, 1.2, 2.0, 2.1, 2.2]
    assert importance("s", options, [*values[:5], 1e9]).share == (
        importance("s", options, values).share
    )
    assert importance("s", options, [*values[:5], float("inf")]).share > 0.7


def test_the_order_is_by_share_and_what_cannot_be_told_is_last():
    some = [importance("b", ["a", "a", "b", "b"], [1.0, 2.0, 3.0, 4.0]),
            importance("a", ["a"], [1.0]),
            importance("c", ["a", "a", "b", "b"], [1.0, 3.0, 2.0, 4.0])]  # fmt: skip
    assert [i.setting for i in ranked(some)] == ["b", "c", "a"]
