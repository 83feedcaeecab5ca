"""Draw the study: perplexity of SmolLM2 by what was taken from it, and which orders hold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from loomlab.report.publish import record
from loomlab.report.ranking import Row

METRIC = "val/perplexity"
NAMES = {
    "prune_magnitude": "magnitude", "prune_wanda": "Wanda", "prune_sparsegpt": "SparseGPT",
    "quantize_int4": "round to nearest", "gptq": "GPTQ", "quantize_int8": "round to nearest",
}  # fmt: skip
PRUNED = ("SparseGPT", "Wanda", "magnitude")
ROUNDED = ("GPTQ", "round to nearest")
DENSE = "dense"


class Result(NamedTuple):
    """What one way to compress left of the model."""

    kind: str  # "50 %", "2:4", "4 bits", ...
    method: str
    perplexity: float
    size: float


def results(rows: Sequence[Row]) -> list[Result]:
    """Runs by what was done to the model."""
    found = [Result(*_named(row), row.best[METRIC], row.costs["bytes"]) for row in rows]
    order = [DENSE, "50 %", "60 %", "2:4", "8 bits", "4 bits", "3 bits"]
    return sorted(found, key=lambda r: (order.index(r.kind), r.perplexity))


def _named(row: Row) -> tuple[str, str]:
    options = row.choice.get("compression") or []
    if not options:
        return DENSE, "-"
    (option,) = options
    values = {
        key.rpartition(".")[2]: value
        for key, value in row.settings.values.items()
        if key.startswith(f"compression.{option}.")
    }
    if option == "quantize_int8":
        return "8 bits", NAMES[option]
    if "bits" in values:
        return f"{values['bits']} bits", NAMES[option]
    return values["pattern"] or f"{100 * values['sparsity']:.0f} %", NAMES[option]


def table(found: list[Result]) -> str:
    """The results in Markdown."""
    dense = next((r for r in found if r.kind == DENSE), None)
    lines = [
        "| kept or taken | by | perplexity | of dense | MB on disk |",
        "|---|---|---|---|---|",
    ]
    for result in found:
        times = "-" if dense is None else f"{result.perplexity / dense.perplexity:.3f} x"
        lines.append(
            f"| {result.kind} | {result.method} | {result.perplexity:,.2f} | {times} "
            f"| {result.size / 1e6:.0f} |"
        )
    return "\n".join(lines)


def orders(found: list[Result]) -> str:
    """Which of the expected orders hold, as a list."""
    known = {(r.kind, r.method): r.perplexity for r in found}
    dense = known.get((DENSE, "-"))
    lines = []
    for kind in ("50 %", "60 %", "2:4", "4 bits", "3 bits"):
        methods = ROUNDED if "bits" in kind else PRUNED
        values = [known.get((kind, method)) for method in methods]
        if dense is None or any(value is None for value in values):
            continue
        ladder = [dense, *(value for value in values if value is not None)]
        words = " < ".join((DENSE, *methods))
        lines.append(f"- {kind}: {words}: {'holds' if _rises(ladder) else 'does not hold'}")
    eight = known.get(("8 bits", "round to nearest"))
    if dense is not None and eight is not None:
        apart = eight / dense - 1
        verdict = "holds" if abs(apart) <= 0.005 else "does not hold"
        lines.append(f"- 8 bits within 0.5 % of dense ({apart:+.2%}): {verdict}")
    return "\n".join(lines)


def _rises(values: list[float]) -> bool:
    return all(low < high for low, high in pairwise(values))


def draw_figure(found: list[Result], path: Path) -> None:
    """Perplexity by method: one panel of sparsities, one of bits."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
    for panel, methods, kinds in (
        (panels[0], PRUNED, ["50 %", "60 %", "2:4"]),
        (panels[1], ROUNDED, ["8 bits", "4 bits", "3 bits"]),
    ):
        for method in methods:
            known = {r.kind: r.perplexity for r in found if r.method == method}
            there = [kind for kind in kinds if kind in known]
            panel.plot(
                [kinds.index(k) for k in there], [known[k] for k in there], "o-", label=method
            )
        for dense in (r.perplexity for r in found if r.kind == DENSE):
            panel.axhline(dense, color="k", ls=":", lw=1, label=DENSE)
        panel.set_xticks(range(len(kinds)), kinds)
        panel.set_yscale("log")
        panel.set_ylabel("held-out perplexity")
        panel.grid(alpha=0.3, which="both")
        panel.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw(rows: list[Row], output: Path, study_folder: Path | None) -> None:
    """Print the table and what holds; write table.md and figure.png."""
    found = results(rows)
    text = f"{table(found)}\n\n{orders(found)}".strip()
    print(text)
    record(text, lambda path: draw_figure(found, path), output, study_folder)
