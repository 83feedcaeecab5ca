"""How much of what came out each swept setting explains."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

BINS = 4  # groups that the different numbers of a searched setting are put into
HOW = (
    "For each setting alone: the share of the variance of the runs' ranks in the chosen metric "
    "that lies between its options, less what chance would give (epsilon squared; with ranks, so "
    "that one run that went astray does not decide it). 100% means that the option alone orders "
    "the runs, 0% that it tells nothing. Numbers of which nearly every run has one of its own, as "
    f"in a random search, are put into up to {BINS} equally large groups. Only runs with a result "
    "count. Settings that matter only together show little here, and where options were not tried "
    "in all combinations a setting can get the credit of another; so the shares need not add up "
    "to 100%. The figure beside it has one point per run and a bar at each option's median."
)


@dataclass(frozen=True)
class Importance:
    """What a setting explains; share is None where too few runs share an option."""

    setting: str
    share: float | None
    runs: int
    groups: int


def importance(setting: str, options: list[object], values: list[float]) -> Importance:
    """The part of the variance of the ranks of `values` that is between the options.

    epsilon^2 = 1 - (SS_within / (n - k)) / (SS_total / (n - 1)) for n runs in k groups, at least
    0 (Kelley 1935, "An unbiased correlation ratio measure").
    """
    groups = _groups(options)
    ranks = _ranks(values)
    names = sorted(set(groups))
    n, k = len(values), len(names)
    total = float(((ranks - ranks.mean()) ** 2).sum()) if n else 0.0
    if k < 2 or n - k < 1 or total == 0:
        return Importance(setting, None, n, k)
    parts = [ranks[[g == name for g in groups]] for name in names]
    within = sum(float(((part - part.mean()) ** 2).sum()) for part in parts)
    share = 1 - (within / (n - k)) / (total / (n - 1))
    return Importance(setting, max(0.0, share), n, k)


def ranked(found: list[Importance]) -> list[Importance]:
    """The most important setting first; those that cannot be told last."""
    return sorted(found, key=lambda i: (i.share is None, -(i.share or 0.0), i.setting))


def _groups(options: list[object]) -> list[str]:
    """Options as they are; the numbers of a search by their quantile."""
    distinct = set(map(str, options))
    numbers = [v for v in options if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(options) or len(distinct) <= max(BINS, len(options) // 2):
        return [str(option) for option in options]
    edges = np.quantile(numbers, np.linspace(0, 1, min(BINS, max(2, len(numbers) // 3)) + 1)[1:-1])
    return [str(int(np.searchsorted(edges, number, side="left"))) for number in numbers]


def _ranks(values: list[float]) -> np.ndarray:
    """Ranks from 0, equal values with the mean of their places; infinite ones are the last."""
    finite = np.array([v if math.isfinite(v) else math.inf for v in values])
    _, inverse, counts = np.unique(finite, return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts
    return (first + (counts - 1) / 2)[inverse]
