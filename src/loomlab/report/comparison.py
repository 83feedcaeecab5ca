"""Runs compared: equal settings grouped over seeds, ranked, each set against a baseline."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from loomlab.errors import InputError, did_you_mean
from loomlab.report.find import named
from loomlab.report.metric import LIKELIHOOD
from loomlab.report.pareto import front
from loomlab.report.row import Row
from loomlab.report.settings import differing, parsed, same_as, shown
from loomlab.report.statistics import Difference, difference, mean_and_spread
from loomlab.run.ledger import DONE

KINDS = ("", "masked models, by pseudo-likelihood", "models of labels", "models of numbers")


@dataclass
class Group:
    """Runs that are equal but for the seed.

    `values` has one number per seed, of runs that are done alone; `mean` and `spread` are of those
    that are finite. `so_far` is the best that runs which are not done have reached.
    """

    settings: dict[str, Any]
    rows: list[Row]
    values: dict[int | None, float] = field(default_factory=dict)
    mean: float | None = None
    spread: float | None = None
    so_far: float | None = None
    against: Difference | None = None
    unread: bool = False  # its numbers are of text that its tokens do not carry
    rank: int | None = None
    on_front: bool = False

    @property
    def label(self) -> str:
        """Its settings, or the name of its first run where nothing differs."""
        return " ".join(f"{k}={shown(v)}" for k, v in self.settings.items()) or self.rows[0].name

    @property
    def diverged(self) -> int:
        """Runs that are done without a finite number."""
        return sum(not math.isfinite(value) for value in self.values.values())

    @property
    def lost(self) -> bool:
        """Whether its mean is not to be trusted."""
        return self.unread or self.diverged > 0

    def cost(self, name: str) -> float | None:
        """Mean of a number over the runs that are done, or over all where none is."""
        done = [row for row in self.rows if row.state == DONE] or self.rows
        known = [value for row in done if (value := row.number(name)) is not None]
        return mean_and_spread(known)[0]


@dataclass
class Comparison:
    """Groups of one kind of run, the best first, those without a result last."""

    kind: str
    metric: str
    keys: list[str]
    groups: list[Group]
    baseline: Group | None = None
    chosen: bool = False  # whether the user named the baseline
    costs: tuple[str, ...] = ()  # of the Pareto front, if one is asked for

    @property
    def more_is_better(self) -> bool:
        """Which way is better."""
        rows = (row for group in self.groups for row in group.rows)
        return any(row.prefers_more(self.metric) for row in rows)


def compare(
    rows: Sequence[Row],
    metric: str | None = None,
    baseline: str | None = None,
    costs: tuple[str, ...] = (),
) -> list[Comparison]:
    """Text models, masked ones, models of labels and of numbers apart: they have none in common.

    Raises:
        InputError: no run has that metric, or the baseline is none of the groups or several.
    """
    metric = metric and full_name(rows, metric)
    kinds: dict[int, list[Row]] = {}
    known = {row.choice.get("objective"): _kind(row) for row in rows if row.best}
    for row in rows:
        kind = _kind(row) if row.best else known.get(row.choice.get("objective"), _kind(row))
        kinds.setdefault(kind, []).append(row)
    made = [_grouped(KINDS[kind], kinds[kind], metric) for kind in sorted(kinds)]
    named_one = _named(made, baseline) if baseline else None
    for comparison in made:
        _set_against(comparison, named_one)
        _rank(comparison)
        _mark_front(comparison, costs)
    return made


def _kind(row: Row) -> int:
    """Which of `KINDS` a run is of."""
    if row.numbers:
        return 3
    return 2 if row.labels else int(row.pseudo)


def full_name(rows: Sequence[Row], metric: str) -> str:
    """A metric by its whole name: `val/` may be left out, and costs are metrics, too.

    Raises:
        InputError: no run has it.
    """
    known = dict.fromkeys(name for row in rows for name in (*row.best, *row.costs))
    for name in (metric, f"val/{metric}"):
        if name in known:
            return name
    raise InputError(f"--metric {metric}: no run has it; {did_you_mean(metric, known, 'known')}")


def _grouped(kind: str, rows: list[Row], metric: str | None) -> Comparison:
    compared_by = Counter(row.metric for row in rows if row.metric).most_common(1)
    metric = metric or (compared_by[0][0] if compared_by else None) or LIKELIHOOD
    keys = differing([row.settings for row in rows])
    groups: dict[tuple[str, ...], Group] = {}
    for row in rows:
        values = {key: row.settings.values.get(key) for key in keys}
        group = groups.setdefault(tuple(map(same_as, values.values())), Group(values, []))
        group.rows.append(row)
    for group in groups.values():
        _measure(group, metric)
    return Comparison(kind, metric, keys, list(groups.values()))


def _measure(group: Group, metric: str) -> None:
    found: dict[int | None, list[float]] = {}
    unfinished = []
    for row in group.rows:
        value = row.number(metric)
        if value is not None and row.state == DONE:
            found.setdefault(row.seed, []).append(value)
        elif value is not None and math.isfinite(value):
            unfinished.append(value)
    group.values = {seed: sum(values) / len(values) for seed, values in found.items()}
    group.mean, group.spread = mean_and_spread(list(group.values.values()))
    group.unread = metric.startswith("val/") and any(row.unread for row in group.rows)
    best = max if any(row.prefers_more(metric) for row in group.rows) else min
    group.so_far = best(unfinished, default=None)


def _named(comparisons: list[Comparison], text: str) -> Group:
    """The group that a user names: by settings, or by one of its runs."""
    groups = [group for comparison in comparisons for group in comparison.groups]
    runs = {id(row) for row in named([row for group in groups for row in group.rows], text)}
    found = (
        [group for group in groups if group.label == text]
        or [group for group in groups if any(id(row) in runs for row in group.rows)]
        or [group for group in groups if _has(group, text)]
    )
    if len(found) == 1:
        return found[0]
    if found:
        labels = "; ".join(group.label for group in found[:4])
        raise InputError(
            f"--baseline '{text}' fits {len(found)} settings: give one of them whole, as "
            f'--baseline "{found[0].label}" (found: {labels})'
        )
    pairs = {f"{k}={shown(v)}" for group in groups for k, v in group.settings.items()}
    known = did_you_mean(text, pairs, "settings")
    raise InputError(f"--baseline '{text}' is no run and no setting of them; {known}".rstrip("; "))


def _has(group: Group, text: str) -> bool:
    """Whether all of `key=value key=value` hold for a group."""
    values = group.rows[0].settings.values
    pairs = [part.partition("=") for part in text.split()]
    return bool(pairs) and all(
        key in values
        and (shown(values[key]) == value or same_as(values[key]) == same_as(parsed(value)))
        for key, _, value in pairs
    )


def _set_against(comparison: Comparison, named_one: Group | None) -> None:
    """The difference to the baseline: the group that was named, else the first with a result."""
    having = [g for g in comparison.groups if g.mean is not None and not g.unread]
    if named_one is not None:
        having = [group for group in comparison.groups if group is named_one]
    if not having:
        return
    comparison.baseline, comparison.chosen = having[0], named_one is not None
    for group in comparison.groups:
        if group is not comparison.baseline:
            group.against = difference(group.values, comparison.baseline.values)


def _rank(comparison: Comparison) -> None:
    """The best mean first; a setting of which a run diverged after those of which none did.

    Settings that do not carry their text are last and have no rank.
    """
    sign = -1.0 if comparison.more_is_better else 1.0

    def key(group: Group) -> tuple[bool, bool, bool, float]:
        value = group.so_far if group.mean is None else group.mean
        unranked = group.mean is None and not group.diverged
        number = math.inf if value is None else sign * value
        return group.unread, unranked, group.diverged > 0, number

    comparison.groups.sort(key=key)
    ranked = (group for group in comparison.groups if group.values and not group.unread)
    for rank, group in enumerate(ranked, start=1):
        group.rank = rank


def _mark_front(comparison: Comparison, costs: tuple[str, ...]) -> None:
    comparison.costs = costs
    if costs:
        sign = -1.0 if comparison.more_is_better else 1.0
        points = [
            (None if g.mean is None or g.lost else sign * g.mean, *map(g.cost, costs))
            for g in comparison.groups
        ]
        for index in front(points):
            comparison.groups[index].on_front = True
