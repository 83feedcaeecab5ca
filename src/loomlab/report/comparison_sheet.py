"""A comparison as a table: a row for each setting, with what it reached, cost and differs by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from loomlab.report.comparison import Comparison, Group
from loomlab.report.ranking import COLUMNS
from loomlab.report.row import Row
from loomlab.report.settings import shown
from loomlab.report.sheet import Sheet
from loomlab.report.statistics import RESAMPLES, Difference
from loomlab.run.ledger import DONE, PENDING

FEW = 5  # pairs, below which an interval of resamples is too narrow
NAMED = 3  # runs of a group that are named
TOLD = 20  # runs that are not done and are told of
COST_HEADINGS = {
    "parameters": "params", "bytes": "bytes", "tokens": "tokens", "flops": "FLOPs",
    "seconds": "seconds", "latency_seconds": "latency (s)",
}  # fmt: skip
Column = tuple[str, Callable[[Group], str]]


def comparison_sheet(comparison: Comparison, most_settings: int | None = None) -> Sheet:
    """The ranking; with more settings than `most_settings`, the others are named below it."""
    groups = comparison.groups
    keys = comparison.keys[:most_settings]
    costs, alike = _costs(comparison)
    columns = [
        ("rank", lambda group: str(group.rank or "-")),
        *_front(comparison),
        *map(_setting, keys),
        ("runs", _names),
        *_results(comparison),
        *map(_cost, costs),
        *_states(groups),
    ]
    rows = [[cell(group) for _, cell in columns] for group in groups]
    notes = [
        *_baseline_notes(comparison), *_left_out(comparison.keys[len(keys):]),
        *alike, *_result_notes(comparison), *_unfinished(groups),
    ]  # fmt: skip
    return Sheet(_title(comparison), [heading for heading, _ in columns], rows, notes)


def front_sheet(comparison: Comparison) -> Sheet:
    """The Pareto front by rising cost."""
    groups = [group for group in comparison.groups if group.on_front]
    first = comparison.costs[0]
    groups.sort(key=lambda group: group.cost(first) or 0.0)
    title = f"Pareto front of {comparison.metric} against {', '.join(comparison.costs)}"
    rows = [
        [str(group.rank), group.label, number(group.mean), *(cost(group.cost(c), c)
         for c in comparison.costs)] for group in groups
    ]  # fmt: skip
    headings = [COST_HEADINGS.get(c, c) for c in comparison.costs]
    return Sheet(title, ["rank", "settings", _heading(comparison.metric), *headings], rows)


def _title(comparison: Comparison) -> str:
    way = "more" if comparison.more_is_better else "less"
    kind = f", {comparison.kind}" if comparison.kind else ""
    return f"Ranked by {comparison.metric} ({way} is better){kind}"


def _heading(metric: str) -> str:
    return COLUMNS.get(metric, metric)


def _front(comparison: Comparison) -> list[Column]:
    if not comparison.costs:
        return []
    return [("front", lambda group: "*" if group.on_front else "")]


def _setting(key: str) -> Column:
    return key, lambda group: shown(group.settings[key])


def _names(group: Group) -> str:
    names = [row.name for row in group.rows]
    if len(names) <= NAMED:
        return " ".join(names)
    return f"{names[0]} ... {names[-1]} ({len(names)})"


def _results(comparison: Comparison) -> list[Column]:
    """What the runs are compared by, its spread, the difference, then other held-out numbers."""
    groups, metric = comparison.groups, comparison.metric
    columns: list[Column] = [(_heading(metric), _result)]
    if any(group.spread is not None for group in groups):
        columns.append(("std", lambda group: number(group.spread, 2)))
    if any(group.against for group in groups):
        columns.append(("to baseline", _against(comparison)))
    rows = [row for group in groups for row in group.rows]
    others = [name for name in COLUMNS if name != metric and any(name in r.best for r in rows)]
    return [*columns, *((_heading(n), _mean_of(n)) for n in others)]


def _mean_of(name: str) -> Callable[[Group], str]:
    return lambda group: number(group.cost(name)) if group.values else "-"


def _result(group: Group) -> str:
    if group.mean is None:
        return (
            "nan" if group.diverged else "-" if group.so_far is None else f"({group.so_far:.4g})"
        )
    return number(group.mean) + (f" ({group.diverged} nan)" if group.diverged else "")


def _against(comparison: Comparison) -> Callable[[Group], str]:
    return lambda group: (
        "baseline" if group is comparison.baseline else difference_text(group.against)
    )


def difference_text(found: Difference | None) -> str:
    """`-0.012 [-0.02, -0.004]`; what compares no pairs says so."""
    if found is None:
        return "-"
    low, high = found.low, found.high
    text = f"{found.mean:+.3g}"
    text += "" if low is None or high is None else f" [{low:+.3g}, {high:+.3g}]"
    return text if found.pairs else f"{text} unpaired"


def _costs(comparison: Comparison) -> tuple[list[str], list[str]]:
    """Costs that differ, and a line on those that are the same for all."""
    differ, alike = [], []
    for name, heading in COST_HEADINGS.items():
        texts = {cost(group.cost(name), name) for group in comparison.groups}
        if len(texts) > 1 or name in comparison.costs:
            differ.append(name)
        elif texts != {"-"}:
            alike.append(f"{heading} {texts.pop()}")
    return differ, [f"the same for all: {', '.join(alike)}"] if alike else []


def _cost(name: str) -> Column:
    return COST_HEADINGS.get(name, name), lambda group: cost(group.cost(name), name)


def cost(value: float | None, name: str) -> str:
    """A cost for a table."""
    if value is None:
        return "-"
    if name in ("flops", "latency_seconds"):
        return f"{value:.3g}"
    return f"{value:.1f}" if name == "seconds" and value < 100 else f"{value:,.0f}"


def number(value: float | None, digits: int = 4) -> str:
    """A result for a table."""
    return "-" if value is None else f"{value:.{digits}g}"


def _states(groups: list[Group]) -> list[Column]:
    if all(row.state == DONE for group in groups for row in group.rows):
        return []
    return [("state", lambda group: ", ".join(
        f"{count} {state}" for state, count in Counter(r.state for r in group.rows).items()
    ))]  # fmt: skip


def _baseline_notes(comparison: Comparison) -> list[str]:
    against = [group.against for group in comparison.groups if group.against]
    if comparison.baseline is None or not against:
        return []
    how = "" if comparison.chosen else " (the first with a result; --baseline takes another)"
    notes = [f"to baseline: mean difference to {comparison.baseline.label}{how}"]
    if any(d.low is not None for d in against):
        pairs = " over pairs of runs with the same seed" if any(d.pairs for d in against) else ""
        notes.append(f"[ ]: 95% bootstrap interval{pairs}, {RESAMPLES:,} resamples")
    if any(not d.pairs for d in against):
        notes.append("unpaired: it shares too few seeds with the baseline to be compared by pairs")
    least = min(d.pairs or min(d.runs) for d in against)
    if any(d.low is not None for d in against) and least < FEW:
        notes.append(f"with fewer than {FEW} seeds an interval is narrower than it should be")
    return notes


def _left_out(keys: list[str]) -> list[str]:
    if not keys:
        return []
    return [f"{len(keys)} more settings differ (--diff and --export show them): {', '.join(keys)}"]


def _result_notes(comparison: Comparison) -> list[str]:
    notes = []
    if any(group.mean is None and group.so_far is not None for group in comparison.groups):
        notes.append("( ): the best so far of runs that are not done")
    if any(group.diverged for group in comparison.groups):
        notes.append("nan: runs that ended without a finite number; they are not in the mean")
    return notes


def _unfinished(groups: list[Group]) -> list[str]:
    """A line for each run that is not done, or not ranked, and has something to say of it."""
    rows = [
        row for group in groups for row in group.rows
        if row.unread or row.state not in (DONE, PENDING)
    ]  # fmt: skip
    told = [line for row in rows if (line := _line(row))]
    more = [f"... and {len(told) - TOLD} more"] if len(told) > TOLD else []
    return [*told[:TOLD], *more]


def _line(row: Row) -> str:
    return f"{row.name} {row.state}: {row.message}" if row.message else ""
