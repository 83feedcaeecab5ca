"""The compatibility table: every pair of options that is refused, with its reason."""

from __future__ import annotations

from itertools import combinations

from loomlab.catalog.axes import OF_MANY_RUNS
from loomlab.catalog.compatibility import Pick, pair_refusal
from loomlab.catalog.options import Catalog, default_options


def refused_pairs(catalog: Catalog) -> list[tuple[Pick, Pick, str]]:
    """Every pair of options of two axes that is refused, and why."""
    defaults, found = default_options(), []
    picks = [pick for name in _axes(catalog) for pick in catalog.picks(name)]
    for one, other in combinations(picks, 2):
        if one.axis == other.axis and one.option == other.option:
            continue
        why = pair_refusal(one, other, defaults)
        if why:
            found.append((one, other, why))
    return found


def _axes(catalog: Catalog) -> list[str]:
    return [a.name for a in catalog.axes if a.name not in OF_MANY_RUNS]


def matrix_table(catalog: Catalog) -> str:
    """A Markdown table of the axes: how many pairs there are and which are refused."""
    refused = refused_pairs(catalog)
    counted = [name for name in _axes(catalog) if catalog.picks(name)]
    pairs = sum(len(catalog.picks(a)) * len(catalog.picks(b)) for a, b in combinations(counted, 2))
    lines = [
        f"{pairs} pairs of options on {len(counted)} axes; {len(refused)} are refused, "
        "all others train:",
        "",
        "| refused | why |",
        "|---|---|",
    ]
    return "\n".join([*lines, *_rows(refused)])


def _rows(refused: list[tuple[Pick, Pick, str]]) -> list[str]:
    """One row per reason: options that share it stand together."""
    rows: dict[tuple[str, str], list[str]] = {}
    for one, other, why in refused:
        general = why.replace(str(other), f"{other.axis}=...").replace(str(one), f"{one.axis}=...")
        rows.setdefault((general, f"`{other}`"), []).append(f"`{one}`")
    merged: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (why, right), lefts in rows.items():
        merged.setdefault((why, tuple(lefts)), []).append(right)
    return [
        f"| {' '.join(lefts)} with {' '.join(rights)} | {why} |"
        for (why, lefts), rights in merged.items()
    ]
