"""Training speed: `loom train` against Transformers' Trainer, each started as a user would.

Starts one fresh process of peer.py per run, one after the other, round by round, and compares
within a round. This file imports nothing heavy: on Linux the memory peak of a new process begins
at that of the process it was forked from.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PROGRAM = Path(__file__).with_name("peer.py")
SIZES = {"layers": 4, "width": 256, "heads": 4, "length": 256, "batch": 16}
SMOKE_SIZES = {"layers": 1, "width": 16, "heads": 2, "length": 16, "batch": 4}
SKIP, LEAST_STEPS = 4, 12
SMOKE_SKIP, SMOKE_STEPS = 1, 3
MIB = 2**20


@dataclass(frozen=True)
class Row:
    """One program with its settings, and the fields of `peer.Spec` that say so."""

    group: str
    label: str
    mode: str
    spec: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """What one run showed."""

    tokens_per_second: float
    memory: int  # bytes, peak of the process
    first_step: float  # seconds from the start of the process to the end of its first step
    cores: float  # processor time per wall time of the steps; below the threads: a busy machine
    loss: float  # held-out, after the last step


@dataclass(frozen=True)
class Pair:
    """Two rows whose speeds are compared, by label; both saw the same tokens."""

    group: str
    ours: str
    other: str


def _loom(group: str, precision: str, runtime: str = "tuned", label: str = "loom") -> Row:
    overrides = [f"precision={precision}", f"runtime={runtime}"]
    spec = {"objective": "mlm" if group == "mlm" else "clm", "overrides": overrides}
    shown = "" if runtime == "tuned" else f" runtime={runtime}"
    return Row(
        group, f"{label} {precision}{shown}", "bare" if label == "bare loop" else "loom", spec
    )


def _trainer(group: str, bf16: bool, tuned: bool = False) -> Row:
    spec = {"objective": group, "bf16": bf16, "tuned": tuned}
    settings = " + our process settings" if tuned else ""
    return Row(group, f"Trainer {'bf16' if bf16 else 'fp32'}{settings}", "trainer", spec)


ROWS = [
    *(_trainer("clm", bf16) for bf16 in (False, True)),
    *(_trainer("clm", bf16, tuned=True) for bf16 in (False, True)),
    *(_loom("clm", precision) for precision in ("fp32", "bf16", "auto")),
    *(_loom("clm", precision, "plain") for precision in ("fp32", "bf16")),
    *(_trainer("mlm", bf16) for bf16 in (False, True)),
    *(_loom("mlm", precision) for precision in ("fp32", "bf16")),
    _loom("overhead", "fp32", label="bare loop"),
    _loom("overhead", "fp32"),
]
PAIRS = [
    Pair("clm", "loom fp32", "Trainer fp32"),
    Pair("clm", "loom bf16", "Trainer bf16"),
    Pair("clm", "loom auto", "Trainer fp32"),
    Pair("clm", "loom auto", "Trainer bf16"),
    Pair("clm", "loom fp32", "Trainer fp32 + our process settings"),
    Pair("clm", "loom bf16", "Trainer bf16 + our process settings"),
    Pair("clm", "loom fp32 runtime=plain", "Trainer fp32"),
    Pair("clm", "loom bf16 runtime=plain", "Trainer bf16"),
    Pair("clm", "loom fp32", "loom fp32 runtime=plain"),
    Pair("clm", "loom bf16", "loom bf16 runtime=plain"),
    Pair("mlm", "loom fp32", "Trainer fp32"),
    Pair("mlm", "loom bf16", "Trainer bf16"),
    Pair("overhead", "loom fp32", "bare loop fp32"),
]


# -- measuring


def start(mode: str, spec: dict[str, Any], threads: int) -> dict[str, Any]:
    """One fresh process of peer.py in a folder of its own; the JSON of its last line.

    Raises:
        SystemExit: the process failed; what it had to say is shown.
    """
    settings = {
        **os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    spec = {**spec, "started": time.monotonic()}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), mode, json.dumps(spec)],
        capture_output=True, text=True, cwd=spec["folder"], env=settings,
    )  # fmt: skip
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], file=sys.stderr)
        raise SystemExit(f"bench: peer.py {mode} ended with exit code {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def figures(result: dict[str, Any], tokens_per_step: int, steps: int, skip: int) -> Figures:
    """The figures of one run from the times its steps ended at; the first `skip` are left out.

    Raises:
        ValueError: the program took another number of steps than it was told to.
    """
    wall, processor = result["wall"], result["processor"]
    if len(wall) != steps:
        raise ValueError(f"{len(wall)} steps were taken instead of {steps}")
    times = [after - before for before, after in zip(wall[skip - 1 :], wall[skip:], strict=False)]
    busy = processor[-1] - processor[skip - 1]
    return Figures(
        tokens_per_second=tokens_per_step / statistics.median(times),
        memory=result["memory"],
        first_step=wall[0],
        cores=busy / (wall[-1] - wall[skip - 1]),
        loss=result["loss"],
    )


def measure(rows: list[Row], options: argparse.Namespace) -> list[tuple[Row, list[Figures]]]:
    """Every row once per round, the rows of a round one after the other."""
    sizes = SMOKE_SIZES if options.smoke else SIZES
    common = {**sizes, "steps": options.steps}
    skip = SMOKE_SKIP if options.smoke else SKIP
    tokens = sizes["length"] * sizes["batch"]
    found: list[tuple[Row, list[Figures]]] = [(row, []) for row in rows]
    with tempfile.TemporaryDirectory(prefix="loomlab-bench-") as folder:
        shared = {**common, "folder": folder, "overrides": options.overrides}
        data = start("prepare", shared, options.threads)
        for number in range(options.rounds):
            for row, runs in found:
                with tempfile.TemporaryDirectory(dir=folder) as own:
                    extra = [*row.spec.get("overrides", []), *options.overrides]
                    spec = {**common, **row.spec, "overrides": extra, "data": data, "folder": own}
                    result = start(row.mode, spec, options.threads)
                runs.append(figures(result, tokens, options.steps, skip))
                print(f"round {number + 1}/{options.rounds}  {row.group:<8}  {row.label:<35}  "
                      f"{runs[-1].tokens_per_second:>9,.0f} tokens/s",
                      file=sys.stderr)  # fmt: skip
    return found


# -- showing


def spread(values: Iterable[float], form: str) -> str:
    """Median and, of several values, the least and the largest."""
    known = sorted(values)
    middle = format(statistics.median(known), form)
    if len(known) == 1:
        return middle
    return f"{middle} ({format(known[0], form)}..{format(known[-1], form)})"


RUN_COLUMNS = ["", "program", "tokens/s", "peak MiB", "first step s", "cores", "held-out loss"]
PAIR_COLUMNS = ["", "compared", "speed", "peak memory", "held-out loss"]


def run_lines(found: list[tuple[Row, list[Figures]]]) -> list[list[str]]:
    """A line per row: median (least..largest) over the rounds."""
    return [
        [
            row.group,
            row.label,
            spread((r.tokens_per_second for r in runs), ",.0f"),
            f"{statistics.median(r.memory for r in runs) / MIB:,.0f}",
            spread((r.first_step for r in runs), ".1f"),
            f"{statistics.median(r.cores for r in runs):.2f}",
            f"{statistics.median(r.loss for r in runs):.3f}",
        ]
        for row, runs in found
    ]


def pair_lines(found: list[tuple[Row, list[Figures]]]) -> list[list[str]]:
    """A line per comparison of measured rows; ratios are taken within a round."""
    by_name = {(row.group, row.label): runs for row, runs in found}
    lines = []
    for pair in PAIRS:
        ours, other = (by_name.get((pair.group, label)) for label in (pair.ours, pair.other))
        if ours and other:
            lines.append([pair.group, f"{pair.ours} / {pair.other}", *compare(pair, ours, other)])
    return lines


def compare(pair: Pair, ours: list[Figures], other: list[Figures]) -> list[str]:
    """Speed, memory and losses of two rows, round by round."""
    rounds = list(zip(ours, other, strict=True))
    if pair.group == "overhead":
        lost = [100 * (b.tokens_per_second / a.tokens_per_second - 1) for a, b in rounds]
        speed = f"overhead {spread(lost, '+.1f')} %"
    else:
        speed = (
            f"{spread((a.tokens_per_second / b.tokens_per_second for a, b in rounds), '.2f')} x"
        )
    memory = f"{spread((a.memory / b.memory for a, b in rounds), '.2f')} x"
    losses = " / ".join(f"{statistics.median(r.loss for r in runs):.3f}" for runs in (ours, other))
    return [speed, memory, losses]


def rich_table(title: str, columns: list[str], lines: list[list[str]]) -> Table:
    """The lines as a table for the screen."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < 2 else "right")
    for line in lines:
        table.add_row(*line)
    return table


def markdown_table(columns: list[str], lines: list[list[str]]) -> str:
    """The lines as a table for a README."""
    rule = ["---" if number < 2 else "---:" for number in range(len(columns))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, rule, *lines])


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line; --smoke lowers what is not given."""
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, help="default 3, or 1 with --smoke")
    parser.add_argument("--steps", type=int, help=f"of each run, at least {LEAST_STEPS}")
    parser.add_argument("--threads", type=int, default=2, help="of each run")
    parser.add_argument("--only", choices=["clm", "mlm", "overhead"], help="only these rows")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables as well")
    parser.add_argument(
        "overrides", nargs="*", metavar="OVERRIDE",
        help="of loom, such as corpus=text corpus.path=FILE; tokens and tokenizer hold for both",
    )  # fmt: skip
    options = parser.parse_args(argv)
    least = SMOKE_STEPS if options.smoke else LEAST_STEPS
    options.steps = options.steps or least
    options.rounds = options.rounds or (1 if options.smoke else 3)
    if options.steps < least or options.rounds < 1 or options.threads < 1:
        parser.error(f"give at least {least} steps, 1 round and 1 thread")
    return options


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    options = parse(argv)
    rows = [row for row in ROWS if options.only in (None, row.group)]
    found = measure(rows, options)
    tables = [
        ("Runs: median (least..largest) over the rounds", RUN_COLUMNS, run_lines(found)),
        ("Ratios: first / second, within a round", PAIR_COLUMNS, pair_lines(found)),
    ]
    console = Console(width=None if Console().is_terminal else 140)
    for table in tables:
        console.print(rich_table(*table))
    if options.markdown:
        print("\n" + "\n\n".join(markdown_table(*table[1:]) for table in tables))


if __name__ == "__main__":
    main()
