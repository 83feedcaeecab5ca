"""Statistics over seeds, against numbers worked out by hand and against SciPy.

The ends of an interval of 10,000 resamples vary by 0.03 standard errors from draw to draw.
"""

import math

import numpy as np
import pytest
from scipy import stats

from loomlab.report.statistics import RESAMPLES, Difference, difference, mean_and_spread

NOISE = [0.31, -0.12, 0.45, 0.07, -0.33, 0.28, -0.05, 0.19, 0.52, -0.21, 0.11, 0.02]


def by_seed(values: list[float], first: int = 1) -> dict[int | None, float]:
    return dict(enumerate(values, start=first))


def test_mean_and_standard_deviation():
    assert mean_and_spread([1.0, 2.0, 6.0]) == (3.0, pytest.approx(math.sqrt(7)))
    assert mean_and_spread([4.0]) == (4.0, None)
    assert mean_and_spread([]) == (None, None)
    assert mean_and_spread([1.0, math.nan, 3.0, math.inf]) == (2.0, pytest.approx(math.sqrt(2)))


def test_three_pairs_by_hand():
    """Means of three draws from 0.1, 0.2, 0.3: the least has 1/27 of them, more than 2.5%."""
    found = difference(by_seed([1.0, 2.0, 3.0]), by_seed([0.9, 1.8, 2.7]))
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.1, 0.3))
    assert (found.pairs, found.runs) == (3, (3, 3))


def test_pairs_agree_with_scipy():
    one = [5.0 + 3 * x for x in NOISE]
    other = [5.2 + 2.5 * x for x in NOISE[::-1]]
    found = difference(by_seed(one), by_seed(other))
    theirs = stats.bootstrap(
        (np.array(one), np.array(other)), lambda a, b, axis: (a - b).mean(axis=axis),
        paired=True, method="percentile", n_resamples=RESAMPLES, rng=np.random.default_rng(7),
    )  # fmt: skip
    near = 0.15 * theirs.standard_error
    assert found is not None
    assert found.mean == pytest.approx(np.mean(one) - np.mean(other))
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=near)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=near)


def test_without_pairs_it_agrees_with_scipy_on_two_samples():
    one, other = [5.0 + x for x in NOISE], [5.2 + x for x in NOISE[:7]]
    found = difference(by_seed(one), by_seed(other, first=100))
    theirs = stats.bootstrap(
        (np.array(one), np.array(other)),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        method="percentile", n_resamples=RESAMPLES, rng=np.random.default_rng(7),
    )  # fmt: skip
    near = 0.15 * theirs.standard_error
    assert found is not None
    assert (found.pairs, found.runs) == (0, (12, 7))
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=near)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=near)


def test_pairs_take_out_what_a_seed_does_to_both():
    one = [10 * x + 0.01 * (i % 3) for i, x in enumerate(NOISE)]
    other = [10 * x + 0.1 for x in NOISE]
    paired = difference(by_seed(one), by_seed(other))
    apart = difference(by_seed(one), by_seed(other, first=100))
    assert paired is not None
    assert apart is not None
    assert paired.mean == pytest.approx(apart.mean)
    assert paired.high is not None
    assert paired.high < 0, "certain by pairs"
    assert apart.low is not None
    assert apart.high is not None
    assert apart.low < 0 < apart.high, "not to be told otherwise"


def test_only_shared_seeds_are_pairs():
    found = difference({1: 1.0, 2: 2.0, 9: 50.0}, {1: 0.5, 2: 1.0, 7: -50.0})
    assert found is not None
    assert (found.mean, found.pairs, found.runs) == (0.75, 2, (3, 3))


def test_one_run_has_no_interval():
    assert difference({1: 2.0}, {1: 1.5, 2: 9.0}) == Difference(0.5, None, None, 1, (1, 2))
    assert difference({1: 2.0}, {2: 1.5}) == Difference(0.5, None, None, 0, (1, 1))


def test_one_shared_seed_of_many_is_no_comparison_by_pairs():
    found = difference({1: 1.0, 2: 2.0, 3: 3.0}, {3: 1.0, 4: 2.0})
    assert found is not None
    assert (found.mean, found.pairs) == (0.5, 0)
    assert found.low is not None


def test_runs_without_a_finite_number_are_left_out():
    assert difference({1: math.nan}, {1: 1.0}) is None
    assert difference({}, {1: 1.0}) is None
    found = difference({1: 1.0, 2: math.inf, 3: 2.0}, {1: 0.0, 2: 0.0, 3: 0.0})
    assert found is not None
    assert (found.mean, found.pairs) == (1.5, 2)


def test_the_same_runs_have_the_same_interval():
    one, other = by_seed(NOISE), by_seed(NOISE[::-1])
    assert difference(one, other) == difference(one, other)
