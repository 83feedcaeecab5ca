"""Draw the study: what each stack costs in quality and saves in bytes, and which order wins."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from loomlab.report.pareto import front
from loomlab.report.publish import record
from loomlab.report.ranking import Row, finished_rows

METRIC = "val/bits_per_byte"
FAMILIES = {"gpt": "GPT", "bert": "BERT"}
BEFORE = {  # what the run a sweep starts from has behind it already
    "": (),
    "student": ("distill to 2 layers",),
    "joint": ("prune_magnitude + distill to 2 layers",),
    "narrow": ("prune_structured", "distill"),
    "sparse": ("prune_sparsegpt", "distill with its masks"),
    "longer": ("distill",),
}
# Each pair of orders ends at models of the same size that were trained on the same tokens.
ORDERS = (
    ("prune_structured > distill", "distill > prune_structured"),
    ("prune_structured > distill > gptq", "distill > prune_structured > gptq"),
    ("prune_sparsegpt > distill with its masks", "distill > prune_sparsegpt"),
    ("prune_sparsegpt > distill with its masks > gptq", "distill > prune_sparsegpt > gptq"),
    ("prune_magnitude + distill to 2 layers", "distill to 2 layers > prune_sparsegpt"),
    (
        "prune_magnitude + distill to 2 layers > gptq",
        "distill to 2 layers > prune_sparsegpt > gptq",
    ),
)


class Stack(NamedTuple):
    """What one way to make a model smaller reached."""

    family: str
    name: str
    quality: float
    written: float
    packed: float


def stacks(rows: Sequence[Row]) -> list[Stack]:
    """Runs by what was done, the best first; the parents count as whole models."""
    found = [_stack(row) for row in rows]
    return sorted((s for s in found if s.name), key=lambda s: (s.family, s.quality))


def _stack(row: Row) -> Stack:
    family, _, rest = row.folder.path.parent.name.partition("_")
    source, compressed, _ = rest.partition("post")
    done = list(BEFORE[source.rstrip("_")])
    if compressed:
        done += row.choice["compression"] or ["whole"]
    weights = list(row.folder.model.glob("*.safetensors"))
    packed = sum(len(zlib.compress(path.read_bytes(), 6)) for path in weights)
    name = " > ".join(done)
    return Stack(family, name, row.best[METRIC], row.costs["bytes"], packed)


def averaged(found: list[Stack]) -> list[Stack]:
    """The same stacks of several seeds as one."""
    grouped: dict[tuple[str, str], list[Stack]] = {}
    for stack in found:
        grouped.setdefault((stack.family, stack.name), []).append(stack)
    means = [Stack(*key, *(sum(c) / len(c) for c in zip(*[s[2:] for s in group], strict=True)))
             for key, group in grouped.items()]  # fmt: skip
    return sorted(means, key=lambda s: (s.family, s.quality))


def table(found: list[Stack]) -> str:
    """Every stack in Markdown; a star marks those on the front."""
    lines = [
        "| model | stack | bits/byte | lost | kB on disk | of whole | kB packed | front |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for family in FAMILIES:
        ours = [s for s in found if s.family == family]
        whole = next((s for s in ours if s.name == "whole"), None)
        for stack, mark in zip(ours, marks(ours), strict=True):
            base = whole or stack
            lines.append(
                f"| {FAMILIES[family]} | {stack.name} | {stack.quality:.4f} "
                f"| {stack.quality - base.quality:+.4f} | {stack.written / 1e3:,.0f} "
                f"| {stack.written / base.written:.2f} | {stack.packed / 1e3:,.0f} | {mark} |"
            )
    return "\n".join(lines)


def marks(ours: list[Stack]) -> list[str]:
    """`disk` and `packed` for the fronts that a stack is on."""
    disk = front([(s.quality, s.written) for s in ours])
    packed = front([(s.quality, s.packed) for s in ours])
    return [
        ", ".join(word for word, on in (("disk", disk), ("packed", packed)) if i in on)
        for i in range(len(ours))
    ]


def orders(found: list[Stack]) -> str:
    """The same steps in two orders, side by side."""
    lines = ["| model | order | bits/byte | other order | bits/byte |", "|---|---|---|---|---|"]
    known = {(s.family, s.name): s.quality for s in found}
    for family, title in FAMILIES.items():
        for one, other in ORDERS:
            if (family, one) in known and (family, other) in known:
                a, b = known[family, one], known[family, other]
                lines.append(f"| {title} | {one} | {a:.4f} | {other} | {b:.4f} |")
    return "\n".join(lines)


def together(found: list[Stack]) -> str:
    """What two steps cost together, and what they cost each by itself."""
    lines = ["| model | stack | lost together | lost one by one, added |", "|---|---|---|---|"]
    known = {(s.family, s.name): s.quality for s in found}
    for family, title in FAMILIES.items():
        for first in ("prune_sparsegpt", "prune_structured"):
            for then in ("quantize_int8", "gptq"):
                names = ["whole", first, then, f"{first} > {then}"]
                if all((family, name) in known for name in names):
                    whole, a, b, both = (known[family, name] for name in names)
                    lost, added = both - whole, a + b - 2 * whole
                    lines.append(f"| {title} | {names[3]} | {lost:+.4f} | {added:+.4f} |")
    return "\n".join(lines)


def draw_figure(found: list[Stack], path: Path) -> None:
    """Quality over bytes, with the front: on disk as written, and packed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained", sharey="row")
    for (family, title), row in zip(FAMILIES.items(), panels, strict=True):
        ours = [s for s in found if s.family == family]
        for panel, size, words in zip(row, ("written", "packed"), ("", ", packed"), strict=True):
            points = [(s.quality, getattr(s, size) / 1e3) for s in ours]
            best = sorted((points[i][1], points[i][0]) for i in front(points))
            for kind, colour in (
                ("", "tab:gray"),
                ("prune", "tab:orange"),
                ("distill", "tab:blue"),
            ):
                chosen = [p for p, s in zip(points, ours, strict=True) if _kind(s.name) == kind]
                panel.plot([p[1] for p in chosen], [p[0] for p in chosen], "o", color=colour,
                           label=LEGEND[kind])  # fmt: skip
            panel.step([x for x, _ in best], [y for _, y in best], "k:", where="post", lw=1)
            panel.set_title(title, fontsize=10)
            panel.set_xlabel(f"kB of weights{words}")
            panel.set_ylabel("held-out bits per byte")
            panel.grid(alpha=0.3)
    panels[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


LEGEND = {"": "whole or quantized", "prune": "pruned", "distill": "distilled"}


def _kind(name: str) -> str:
    return next((kind for kind in ("distill", "prune") if kind in name), "")


def draw(rows: list[Row], output: Path, study_folder: Path | None) -> None:
    """Print the tables; write table.md and figure.png.

    Runs of other seeds are those in OUTPUT/seed*; what is drawn is the mean.
    """
    found = averaged(stacks([*rows, *finished_rows(sorted(output.glob("seed*")))]))
    text = "\n\n".join((table(found), orders(found), together(found)))
    print(text)
    record(text, lambda path: draw_figure(found, path), output, study_folder)
