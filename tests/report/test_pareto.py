"""The Pareto front of points where less is better."""

import itertools
import math
import random

from loomlab.report.pareto import front


def test_a_front_by_hand():
    points = [(1, 9), (2, 5), (3, 6), (4, 4), (9, 1), (9, 2)]
    assert front(points) == [0, 1, 3, 4]


def test_equal_points_stay_together():
    assert front([(1, 2), (1, 2), (1, 3)]) == [0, 1]
    assert front([(5,)]) == [0]
    assert front([]) == []


def test_unknown_numbers_are_not_on_it_and_beat_none():
    assert front([(0, None), (math.nan, 0), (-math.inf, 0), (3, 3)]) == [3]


def test_against_the_definition_in_three_dimensions():
    rng = random.Random(0)
    points = [tuple(rng.randrange(6) for _ in range(3)) for _ in range(60)]
    on_it = front(points)
    beaten = {
        i for i, j in itertools.permutations(range(60), 2)
        if all(b <= a for a, b in zip(points[i], points[j], strict=True))
        and any(b < a for a, b in zip(points[i], points[j], strict=True))
    }  # fmt: skip
    assert 0 < len(on_it) < 60
    assert set(on_it) == set(range(60)) - beaten
