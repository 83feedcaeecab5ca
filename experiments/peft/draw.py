"""Draw the study: accuracy over seeds against how much of the model is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from loomlab.report.publish import record
from loomlab.report.ranking import Row
from loomlab.report.statistics import difference, mean_and_spread

FULL = "full tuning"
METRIC = "val/accuracy"


class Method(NamedTuple):
    """What the seeds of one way to tune reached."""

    name: str
    trainable: int
    share: float
    accuracy: dict[int | None, float]
    seconds: float


def methods(rows: Sequence[Row]) -> list[Method]:
    """Runs by what was trained, the most first."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        name = ", ".join(row.choice.get("compression") or [FULL])
        grouped.setdefault(name, []).append(row)
    found = [_method(name, group) for name, group in grouped.items()]
    return sorted(found, key=lambda m: -m.trainable)


def _method(name: str, rows: list[Row]) -> Method:
    summary = rows[0].summary
    whole = {"trainable_parameters": summary["parameters"], "parameters": summary["parameters"]}
    counted = next(iter(summary["compression"].values()), whole)
    trainable = int(counted["trainable_parameters"])
    seconds, _ = mean_and_spread([row.costs["seconds"] for row in rows])
    accuracy = {row.seed: row.best[METRIC] for row in rows}
    return Method(name, trainable, trainable / counted["parameters"], accuracy, seconds or 0.0)


def table(found: list[Method]) -> str:
    """The methods in Markdown, each compared with full tuning seed by seed."""
    full = next((m for m in found if m.name == FULL), None)
    lines = [
        "| tuned | trainable | share | accuracy | points from full tuning | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for method in found:
        mean, spread = mean_and_spread(list(method.accuracy.values()))
        accuracy = f"{mean:.4f}" + ("" if spread is None else f" +- {spread:.4f}")
        apart = None if full is None else difference(method.accuracy, full.accuracy)
        points = "-" if apart is None or method is full else f"{100 * apart.mean:+.2f}"
        lines.append(
            f"| {method.name} | {method.trainable:,} | {method.share:.2%} | {accuracy} | {points} "
            f"| {method.seconds:.0f} |"
        )
    return "\n".join(lines)


def draw_figure(found: list[Method], path: Path) -> None:
    """One point per run: accuracy over trainable parameters."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panel = plt.subplots(figsize=(6.2, 4.2), layout="constrained")
    for method in found:
        values = list(method.accuracy.values())
        panel.plot([method.trainable] * len(values), values, "o", label=method.name)
    panel.set_xscale("log")
    panel.set_xlabel("trainable parameters")
    panel.set_ylabel("held-out accuracy")
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw(rows: list[Row], output: Path, study_folder: Path | None) -> None:
    """Print the table; write table.md and figure.png."""
    found = methods(rows)
    text = table(found)
    print(text)
    record(text, lambda path: draw_figure(found, path), output, study_folder)
