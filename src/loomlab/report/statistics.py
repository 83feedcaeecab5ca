"""Numbers over seeds: mean, spread, and how far apart two settings are, with an interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95
SEED = 0  # the same runs have the same interval, whenever they are compared


@dataclass(frozen=True)
class Difference:
    """Mean of a setting less that of the baseline; no interval where one run says too little."""

    mean: float
    low: float | None
    high: float | None
    pairs: int  # runs of equal seed; 0 where the two were compared as wholes
    runs: tuple[int, int]


def mean_and_spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and standard deviation (n - 1) of what is finite; None where there are too few."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None, None
    return float(np.mean(finite)), float(np.std(finite, ddof=1)) if len(finite) > 1 else None


def difference(
    values: Mapping[int | None, float], baseline: Mapping[int | None, float]
) -> Difference | None:
    """How a setting differs from the baseline, both given as value per seed.

    Runs of equal seed are pairs, and pairs are resampled: what a seed does to both cancels out.
    Without two pairs the runs of either side are resampled on their own. The interval is that of
    the percentiles (Efron & Tibshirani 1993, chapter 13); None if a side has no finite value.
    """
    mine, others = _finite(values), _finite(baseline)
    if not mine or not others:
        return None
    seeds = [seed for seed in mine if seed in others]
    sizes = (len(mine), len(others))
    if len(seeds) > 1 or (seeds and min(sizes) == 1):
        deltas = np.array([mine[seed] - others[seed] for seed in seeds])
        low, high = interval(_resampled(deltas, np.random.default_rng(SEED)))
        return Difference(float(deltas.mean()), low, high, len(seeds), sizes)
    left, right = np.array(list(mine.values())), np.array(list(others.values()))
    rng = np.random.default_rng(SEED)
    means = _resampled(left, rng), _resampled(right, rng)
    low, high = (None, None) if min(sizes) == 1 else interval(means[0] - means[1])
    return Difference(float(left.mean() - right.mean()), low, high, 0, sizes)


def _finite(values: Mapping[int | None, float]) -> dict[int | None, float]:
    return {seed: value for seed, value in values.items() if math.isfinite(value)}


def _resampled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Means of RESAMPLES draws with replacement; empty for a single value."""
    count = len(values)
    if count == 1:
        return np.empty(0)
    return values[rng.integers(0, count, (RESAMPLES, count))].mean(axis=1)


def interval(means: np.ndarray) -> tuple[float | None, float | None]:
    """The middle LEVEL of resampled means; None for none."""
    if not len(means):
        return None, None
    low, high = np.percentile(means, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)
