"""Latency and size of every export format against the model it came from, one row at a time.

Trains a model of two layers for a few steps, exports it in every format (each is verified), and
lets all of them answer the same row of held-out text in turns, in one process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from loomlab.catalog.axes import all_options
from loomlab.catalog.search import package_conf
from loomlab.report.publish import publish

HERE = Path(__file__).parent
MODELS = {"gpt": ["model=gpt", "objective=clm"], "bert": ["model=bert", "objective=mlm"]}
SIZE = ["model.layers=2", "model.width=256", "model.heads=4", "sequence_length=128"]
EAGER = "eager fp32"
WARM, CALLS = 2, 5  # of each program in a round: not counted, and counted
HEADS = ["model", "what runs", "ms a row", "x eager", "MB", "x eager"]


def formats() -> list[str]:
    """All that `loom export` writes."""
    return all_options([package_conf()])["format"]


def loom(*words: str) -> str:
    """What a command prints; ends the bench if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "loomlab", *words], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"loom {' '.join(words)} failed:\n{done.stderr[-4000:]}")
    return done.stdout


def prepare(kind: str, work: Path, smoke: bool, overrides: list[str]) -> dict[str, Any]:
    """Train, export in every format, and say where everything lies and how large it is."""
    run = work / kind
    small = ["model.width=32", "model.heads=2", "sequence_length=32"] if smoke else []
    loom(
        "train", *MODELS[kind], *SIZE, "logger=none", "budget.steps=10", "callbacks=[checkpoint]",
        "trainer.limit_val_batches=2", f"paths.output_dir={run}", *small, *overrides,
    )  # fmt: skip
    told = {n: json.loads(loom("export", str(run), f"format={n}", "--json")) for n in formats()}
    before = next(iter(told.values()))["bytes_before"]
    return {
        "folders": {EAGER: str(run), **{name: found["folder"] for name, found in told.items()}},
        "bytes": {EAGER: before, **{name: found["bytes"] for name, found in told.items()}},
    }


def measure(folders: dict[str, str], rounds: int) -> dict[str, list[float]]:
    """Seconds of one row, the median of a few calls in each round."""
    import torch

    from loomlab.format.base import INPUTS
    from loomlab.run.finished_run import FinishedRun

    runs = {name: FinishedRun(folder) for name, folder in folders.items()}
    objective, corpus = runs[EAGER].with_corpus()
    batch = objective.model_inputs(next(iter(corpus.val_dataloader())))
    row = {name: batch[name][:1] for name in INPUTS if name in batch}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    with torch.no_grad():
        for _ in range(rounds):
            for name, run in runs.items():
                times = list(timed(lambda run=run: run.model(**row)))  # type: ignore[misc]
                taken[name].append(median(times[WARM:]))
    return taken


def timed(call: Callable[[], Any]) -> Iterator[float]:
    """Seconds of each call of a round."""
    for _ in range(WARM + CALLS):
        begun = time.perf_counter()
        call()
        yield time.perf_counter() - begun


def rows_of(kind: str, taken: dict[str, list[float]], sizes: dict[str, int]) -> list[list[str]]:
    """Rows of the table: median of the rounds (smallest..largest), ratios within a round."""
    rows = []
    for name, seconds in taken.items():
        ratios = [ours / eager for ours, eager in zip(taken[EAGER], seconds, strict=True)]
        size = sizes[name] / sizes[EAGER]
        own = name == EAGER
        rows.append([
            kind, name, spread([1e3 * s for s in seconds]), "-" if own else spread(ratios),
            f"{sizes[name] / 1e6:.1f}", "-" if own else f"{size:.2f}",
        ])  # fmt: skip
    return rows


def spread(values: list[float]) -> str:
    """Median, smallest and largest."""
    return f"{median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(prog="latency_bench.py", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=20, help="default 20")
    arguments.add_argument("--publish", action="store_true", help="put the table into the README")
    arguments.add_argument("--smoke", action="store_true", help="does it run? tiny")
    arguments.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="of `loom train`")
    options = arguments.parse_args()
    if options.rounds < 1:
        arguments.error("give --rounds of at least 1")
    rows = []
    for kind in MODELS:
        with tempfile.TemporaryDirectory(prefix="loom-latency-") as work:
            ready = prepare(kind, Path(work), options.smoke, options.overrides)
            rows += rows_of(kind, measure(ready["folders"], options.rounds), ready["bytes"])
    table = Table(title="One row at a time")
    for head in HEADS:
        table.add_column(head, justify="left" if head in HEADS[:2] else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=None if Console().is_terminal else 130).print(table)
    if options.publish:
        lines = [HEADS, ["---"] * len(HEADS), *rows]
        publish(HERE, "\n".join(f"| {' | '.join(line)} |" for line in lines))


if __name__ == "__main__":
    main()
