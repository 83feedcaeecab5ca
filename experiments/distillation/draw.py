"""Draw the study: what students of half the layers keep of what their teacher has gained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from loomlab.report.publish import record
from loomlab.report.ranking import Row
from loomlab.report.statistics import difference, mean_and_spread

METRIC = "val/bits_per_byte"
NAMES = {
    "baseline": "n-gram", "teacher": "teacher", "student": "student, distilled",
    "scratch": "student, from scratch",
}  # fmt: skip


class Kind(NamedTuple):
    """All seeds of one way to come to a model."""

    objective: str
    role: str
    quality: dict[int | None, float]
    parameters: float
    seconds: float

    @property
    def mean(self) -> float:
        """Bits per byte over seeds."""
        return sum(self.quality.values()) / len(self.quality)


def kinds(rows: Sequence[Row]) -> dict[tuple[str, str], Kind]:
    """Runs by objective and role, which are the name of their sweep."""
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        objective, _, role = row.folder.path.parent.name.partition("_")
        grouped.setdefault((objective, role), []).append(row)
    return {key: _kind(key, group) for key, group in sorted(grouped.items())}


def _kind(key: tuple[str, str], rows: list[Row]) -> Kind:
    quality = {row.seed: row.best[METRIC] for row in rows}
    seconds, _ = mean_and_spread([row.costs["seconds"] for row in rows])
    return Kind(*key, quality, rows[0].costs["parameters"], seconds or 0.0)


def kept(found: dict[tuple[str, str], Kind], kind: Kind) -> float:
    """The share of the teacher's gain over the baseline that a model has."""
    base, teacher = (found[kind.objective, role].mean for role in ("baseline", "teacher"))
    return (base - kind.mean) / (base - teacher)


def table(found: dict[tuple[str, str], Kind]) -> str:
    """The models in Markdown, and what of the teacher's gain each has."""
    lines = [
        "| objective | model | parameters | bits/byte | of the teacher's gain | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for kind in found.values():
        mean, spread = mean_and_spread(list(kind.quality.values()))
        quality = f"{mean:.4f}" + ("" if spread is None else f" +- {spread:.4f}")
        lines.append(
            f"| {kind.objective} | {NAMES[kind.role]} | {kind.parameters:,.0f} | {quality} "
            f"| {kept(found, kind):.1%} | {kind.seconds:.0f} |"
        )
    return "\n".join([*lines, "", *verdicts(found)])


def verdicts(found: dict[tuple[str, str], Kind]) -> list[str]:
    """Whether the student keeps 95 %, and is ahead of itself without a teacher, seed by seed."""
    lines = []
    for objective in dict.fromkeys(key[0] for key in found):
        student, scratch = (found[objective, role] for role in ("student", "scratch"))
        share = kept(found, student)
        apart = difference(student.quality, scratch.quality)
        ahead = "" if apart is None else f", {apart.mean:+.4f} bits/byte from scratch"
        verdict = "holds" if share >= 0.95 else "does not hold"
        lines.append(f"- {objective}: keeps {share:.1%} (95 %: {verdict}){ahead}")
    return lines


def draw_figure(found: dict[tuple[str, str], Kind], path: Path) -> None:
    """Bits per byte over parameters, a panel for each objective."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    objectives = list(dict.fromkeys(key[0] for key in found))
    size = (4.6 * len(objectives), 3.8)
    figure, panels = plt.subplots(
        1, len(objectives), figsize=size, layout="constrained", squeeze=False
    )
    for panel, objective in zip(panels[0], objectives, strict=True):
        panel.axhline(
            found[objective, "baseline"].mean, color="black", linewidth=0.8, label="n-gram"
        )
        for role in ("teacher", "student", "scratch"):
            kind = found[objective, role]
            values = list(kind.quality.values())
            panel.plot([kind.parameters / 1e6] * len(values), values, "o", label=NAMES[role])
        panel.set_title(objective)
        panel.set_xlabel("parameters, millions")
        panel.set_ylabel("held-out bits per byte")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw(rows: list[Row], output: Path, study_folder: Path | None) -> None:
    """Print the table; write table.md and figure.png."""
    found = kinds(rows)
    text = table(found)
    print(text)
    record(text, lambda path: draw_figure(found, path), output, study_folder)
