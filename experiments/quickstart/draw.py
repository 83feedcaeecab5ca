"""Draw the quickstart: two rankings, the learning curves, and what the best models write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from loomlab.report.curves import draw_curves
from loomlab.report.publish import record
from loomlab.report.ranking import Row, differing_axes, markdown_table, rich_table

PROMPT = "The old man looked at the sea and"
MASKED = "She took his [MASK] and went out of the house."
RANKED = "Ranked by held-out bits per byte (lower is better)"
PSEUDO = (
    "Masked models, ranked by pseudo-likelihood: each masked token is predicted from both\n"
    "sides, so these bits per byte cannot be compared with those above"
)


def draw(rows: list[Row], output: Path, study_folder: Path | None) -> None:
    """Print rankings and samples; write them into table.md, and figure.png beside it."""
    console = Console(width=None if Console().is_terminal else 120)
    parts = []
    for title, pseudo in ((RANKED, False), (PSEUDO, True)):
        group = [r for r in rows if r.pseudo == pseudo]
        if group:
            axes = list(dict.fromkeys(["model", *differing_axes(group)]))
            console.print()
            console.print(rich_table(group, title, axes))
            parts.append(f"{title}:\n\n{markdown_table(group, axes)}")
    for sample in _samples(rows):
        parts.append(sample)
        console.print(f"\n{sample}", markup=False, highlight=False)
    record(
        "\n\n".join(parts),
        lambda path: draw_curves(rows, ["model", "position"], path), output, study_folder,
    )  # fmt: skip
    _show_the_way(rows, output, console)


def _samples(rows: list[Row]) -> Iterator[str]:
    """Text of the best GPT, and masks filled by the best BERT, as Markdown."""
    import torch

    from loomlab.run.finished_run import FinishedRun
    from loomlab.text.generation import continue_text, fill_masks

    gpt = next((r for r in rows if r.choice["model"].startswith("gpt")), None)
    bert = next((r for r in rows if r.choice["model"].startswith("bert")), None)
    if gpt:
        run = FinishedRun(gpt.folder.path)
        torch.manual_seed(0)
        text = continue_text(run.model, run.tokenizer, PROMPT, max_new_tokens=60, top_p=0.9)
        yield f"The best GPT goes on:\n\n> {' '.join(text.split())}"
    if bert:
        run = FinishedRun(bert.folder.path)
        filled = fill_masks(run.model, run.tokenizer, MASKED)
        words = ", ".join(f"{word.strip()} ({p:.2f})" for word, p in filled.candidates[0])
        yield f"The best BERT fills: {MASKED}\n\n> {words}"


def _show_the_way(rows: list[Row], output: Path, console: Console) -> None:
    """Where to look next."""
    best = rows[0].folder.path
    gpt = next((r.folder.path for r in rows if r.choice["model"].startswith("gpt")), best)
    console.print(
        f"\nCurves: {output / 'figure.png'}    table: {output / 'table.md'}\n"
        f"A run folder holds config.yaml, metrics.csv, summary.json, samples.txt and model/:\n"
        f"  {gpt}\n"
        "Next, with `source .venv/bin/activate`:\n"
        f'  loom generate {gpt} --prompt "It was a dark night"\n'
        "  loom train model=gpt optimizer=muon budget.tokens=5e6\n"
        "  loom options",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
