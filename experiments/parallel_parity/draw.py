"""Draw the study: loss curves of all ways to spread a run over each other, and how far apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load_file

from loomlab.report.publish import record
from loomlab.report.ranking import Row
from loomlab.run.metrics_file import read_metrics

ALONE = "single"
SAME_LOSS, SAME_WEIGHT = 1e-5, 5e-5  # what counts as the run of one process
PREFIX = "parallelism."


class Spread(NamedTuple):
    """One way to spread a run: its curve, and how far it is from the run of one process."""

    objective: str
    name: str
    losses: list[float]
    loss_apart: float
    weight_apart: float

    @property
    def same(self) -> bool:
        """Whether it is the run of one process, but for rounding."""
        return self.loss_apart <= SAME_LOSS and self.weight_apart <= SAME_WEIGHT


def called(row: Row) -> str:
    """The option, with the settings that its command line gave."""
    given = sorted(key for key in row.settings.given if key.startswith(PREFIX))
    more = [f"{key.removeprefix(PREFIX)}={row.settings.values[key]}" for key in given]
    return ", ".join([row.choice["parallelism"], *more])


def spreads(rows: Sequence[Row]) -> list[Spread]:
    """All runs, each compared with the one of its objective on one process."""
    alone = {r.choice["objective"]: r for r in rows if r.choice["parallelism"] == ALONE}
    return [_compared(row, alone[row.choice["objective"]]) for row in rows]


def _compared(row: Row, alone: Row) -> Spread:
    losses, base = (
        [line["train/loss"] for line in read_metrics(r.folder.metrics)] for r in (row, alone)
    )
    weights, others = (load_file(r.folder.model / "model.safetensors") for r in (row, alone))
    loss_apart = max(abs(a - b) for a, b in zip(losses, base, strict=True))
    weight_apart = max(float((weights[k] - v).abs().max()) for k, v in others.items())
    return Spread(row.choice["objective"], called(row), losses, loss_apart, weight_apart)


def table(found: list[Spread]) -> str:
    """Markdown, those that must be the same first."""
    lines = [
        "| objective | parallelism | largest difference in loss | in a weight | the same run |",
        "|---|---|---|---|---|",
    ]
    for spread in sorted(found, key=lambda s: (s.objective, not s.same)):
        figures = f"{spread.loss_apart:.1e} | {spread.weight_apart:.1e}"
        verdict = "yes" if spread.same else "no"
        if spread.name == ALONE:
            figures, verdict = "- | -", "-"
        lines.append(f"| {spread.objective} | {spread.name} | {figures} | {verdict} |")
    return "\n".join(lines)


def draw_figure(found: list[Spread], path: Path) -> None:
    """Curves above, and below how far each is from that of one process."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    objectives = sorted({s.objective for s in found})
    size = (5.4 * len(objectives), 6.4)
    figure, panels = plt.subplots(
        2, len(objectives), figsize=size, layout="constrained", squeeze=False
    )
    for column, objective in enumerate(objectives):
        chosen = [s for s in found if s.objective == objective]
        base = next(s.losses for s in chosen if s.name == ALONE)
        above, below = panels[0][column], panels[1][column]
        colours = plt.colormaps["tab20"].colors  # type: ignore[attr-defined]
        for number, (spread, colour) in enumerate(zip(chosen, colours, strict=False)):
            steps = range(1, len(spread.losses) + 1)
            look = {
                "linestyle": (2 * number, (3, 6)) if spread.same else "-",
                "linewidth": 1.4,
                "color": colour,
            }
            above.plot(steps, spread.losses, label=spread.name, **look)
            apart = [max(abs(a - b), 1e-9) for a, b in zip(spread.losses, base, strict=True)]
            below.plot(steps, apart, linewidth=1.0, color=colour)
        below.axhline(SAME_LOSS, color="black", linewidth=0.8)
        above.set_title(objective)
        above.set_ylabel("training loss")
        above.legend(fontsize=6)
        below.set_yscale("log")
        below.set_ylabel("difference from one process")
        below.set_xlabel("step")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw(rows: list[Row], output: Path, study_folder: Path | None) -> None:
    """Print the table; write table.md and figure.png."""
    found = spreads(rows)
    text = table(found)
    print(text)
    record(text, lambda path: draw_figure(found, path), output, study_folder)
