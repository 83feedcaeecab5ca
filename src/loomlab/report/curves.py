"""Learning curves of several runs as one picture."""

from __future__ import annotations

from pathlib import Path

from loomlab.report.ranking import Row, options
from loomlab.run.metrics_reading import read_metrics


def draw_curves(
    rows: list[Row], axes: list[str], path: Path, metric: str = "val/bits_per_byte"
) -> None:
    """Plot a held-out metric against training tokens; one panel per kind of likelihood.

    A run with one number alone is a level line.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    kinds = sorted({r.pseudo for r in rows})
    figure, panels = plt.subplots(
        1, len(kinds), figsize=(6.2 * len(kinds), 4.2), squeeze=False, layout="constrained"
    )
    for panel, pseudo in zip(panels[0], kinds, strict=True):
        for row in (r for r in rows if r.pseudo == pseudo):
            points = [p for p in read_metrics(row.folder.metrics) if metric in p]
            label = ", ".join(o for o in options(row, axes) if o != "-")
            if len(points) == 1:  # counted, not trained step by step: what the others are to pass
                panel.axhline(points[0][metric], color="black", linestyle="--", label=label)
                continue
            panel.plot(
                [p["tokens"] for p in points], [p[metric] for p in points], "o-", label=label,
                markersize=4,
            )  # fmt: skip
        panel.set_title("masked, pseudo-likelihood" if pseudo else "left to right")
        panel.set_xlabel("training tokens")
        panel.set_ylabel("held-out bits per byte")
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
