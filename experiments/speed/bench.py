"""Training speed: `loom train` against Transformers' Trainer on the same tokens.

Every program runs in a fresh process (peer.py), the programs of a comparison one after the other
in every round. Overrides after the options (`corpus=text corpus.path=...`) go to all of them.
"""

# Nothing heavy is imported here: a child's peak memory starts at what its parent holds.

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
SKIPPED = 4  # first steps that are not counted: they fill caches and the allocator
OVERHEAD_STEPS = SKIPPED + 40  # four logged steps among 40, as in any run
ALIKE = 0.05  # held-out losses within 5 % of each other are of the same region
BUSY = 0.9  # a program that got less of its threads than this was not alone on the machine

PART_TITLES = {
    "clm": "Causal language model (GPT)",
    "mlm": "Masked language model (BERT)",
    "overhead": "Our trainer and logging over a bare loop",
}
SIZES = {"layers": 4, "width": 256, "heads": 4}
SMOKE_SIZES = {"layers": 1, "width": 32, "heads": 2}
EQUAL = [
    "scheduler=constant", "scheduler.warmup=0", "optimizer=adamw", "optimizer.lr=1e-3",
    "optimizer.weight_decay=0.1", "trainer.limit_val_batches=8",
]  # fmt: skip
# A smoke run fetches nothing: its text is the page beside this file, its tokenizer needs no time.
SMOKE_CORPUS = [
    "corpus=text", "corpus.passage_bytes=200", "corpus.validation_every=4", "tokenizer=byte",
]  # fmt: skip


@dataclass(frozen=True)
class Program:
    """One row: what runs, and the row it is compared with."""

    part: str
    name: str
    mode: str
    base: str
    precision: str = "fp32"
    overrides: tuple[str, ...] = ()
    tuned: bool = False

    def spec(self, setting: Setting) -> dict[str, Any]:
        """What peer.py is told."""
        model, objective = ("bert", "mlm") if self.part == "mlm" else ("gpt", "clm")
        own = [f"model={model}", f"objective={objective}", f"precision={self.precision}"]
        own += [f"model.{key}={value}" for key, value in setting.sizes.items()]
        steps = setting.steps[self.part]
        # No validation between steps: the Trainer does none either unless it is asked to.
        own += [f"budget.steps={steps}", f"trainer.val_every_n_steps={steps + 1}"]
        return {
            "mode": self.mode, "steps": steps, "objective": objective,
            "bf16": self.precision == "bf16", "tuned": self.tuned, "size": setting.sizes,
            "length": setting.length, "batch": setting.batch,
            "overrides": [*setting.overrides, *own, *self.overrides],
        }  # fmt: skip


def programs(part: str) -> list[Program]:
    """The programs of one part in the order in which they take turns."""
    if part == "overhead":
        loop, wandb = "bare loop, fp32", ("logger=wandb", "logger.wandb.mode=offline")
        return [
            Program(part, loop, "bare", loop),
            Program(part, "loom, fp32", "loom", loop),
            Program(part, "loom, fp32, offline W&B", "loom", loop, overrides=wandb),
        ]
    rows = [row for precision in ("fp32", "bf16") for row in _compared(part, precision)]
    if part == "clm":
        rows.append(Program(part, "loom, precision=auto", "loom", "Trainer, fp32", "auto"))
    return rows


def _compared(part: str, precision: str) -> Iterator[Program]:
    peer = f"Trainer, {precision}"
    yield Program(part, peer, "trainer", peer, precision)
    tuned_peer = f"{peer}, our process settings"
    yield Program(part, tuned_peer, "trainer", peer, precision, tuned=True)
    if part == "clm":
        plain = f"loom, {precision}, runtime=plain"
        yield Program(part, plain, "loom", peer, precision, ("runtime=plain",))
    yield Program(part, f"loom, {precision}", "loom", peer, precision)


@dataclass(frozen=True)
class Setting:
    """What all programs of a bench share."""

    rounds: int
    steps: dict[str, int]  # of each part
    threads: int
    sizes: dict[str, int]
    length: int
    batch: int
    overrides: list[str]


def setting_of(options: argparse.Namespace, work: Path) -> Setting:
    """The setting the arguments ask for; telling 1 % from nothing takes more steps."""
    sizes, length, batch = (SMOKE_SIZES, 32, 4) if options.smoke else (SIZES, 256, 16)
    steps = dict.fromkeys(PART_TITLES, SKIPPED + 2 if options.smoke else options.steps)
    if not options.smoke:
        steps["overhead"] = max(options.steps, OVERHEAD_STEPS)
    small = []
    if options.smoke:
        text = shutil.copy(HERE / "README.md", work / "text.txt")
        small = [*SMOKE_CORPUS, f"corpus.path={text}", f"paths.cache_dir={work / 'cache'}"]
    shape = [f"sequence_length={length}", f"global_batch_size={batch}"]
    overrides = ["logger=none", *EQUAL, *shape, *small, *options.overrides]
    rounds = 1 if options.smoke else options.rounds
    return Setting(rounds, steps, options.threads, sizes, length, batch, overrides)


@dataclass
class Measured:
    """What the rounds of one program gave."""

    program: Program
    tokens_per_step: int
    reports: list[dict[str, Any]] = field(default_factory=list)

    def seconds(self) -> list[float]:
        """Seconds of a step, one figure a round: the median, of the overhead part the mean.

        A mean because the cost of logging falls on every tenth step, which a median hides.
        """
        figure = mean if self.program.part == "overhead" else median
        return [figure(r["step_seconds"][SKIPPED - 1 :]) for r in self.reports]

    def speeds(self) -> list[float]:
        """Tokens per second, one figure a round."""
        return [self.tokens_per_step / s for s in self.seconds()]

    def peaks(self) -> list[float]:
        """Peak memory in MB, one figure a round."""
        return [r["peak_bytes"] / 1e6 for r in self.reports]

    def cores(self) -> float:
        """Processor seconds per second while steps were timed."""
        used, passed = (
            [sum(r[key][SKIPPED - 1 :]) for r in self.reports]
            for key in ("processor_seconds", "step_seconds")
        )
        return median(paired(used, passed))

    def middle(self, key: str) -> float:
        """Median of one figure of the reports."""
        return median(float(r[key]) for r in self.reports)


def paired(ours: list[float], base: list[float]) -> list[float]:
    """Ratio of the figures of each round."""
    return [a / b for a, b in zip(ours, base, strict=True)]


def spread(values: list[float], form: str) -> str:
    """Median and, of several, the smallest and the largest."""
    middle, low, high = (format(f(values), form) for f in (median, min, max))
    return middle if len(values) == 1 else f"{middle} ({low}..{high})"


def start(spec: dict[str, Any], threads: int) -> dict[str, Any]:
    """Run peer.py in a fresh process and a folder of its own; its report."""
    environment = {
        **os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline",
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="loom-speed-") as folder:
        whole = {"work": folder, **spec, "started": time.monotonic()}
        command = [sys.executable, str(HERE / "peer.py"), json.dumps(whole)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command[:2])} {spec['mode']} failed:\n{done.stderr[-4000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(part: str, setting: Setting, prepared: dict[str, Any]) -> list[Measured]:
    """Run all programs of a part, interleaved."""
    results = [Measured(p, setting.batch * setting.length) for p in programs(part)]
    for number in range(setting.rounds):
        for result in results:
            spec = {**prepared, **result.program.spec(setting)}
            result.reports.append(start(spec, setting.threads))
            done = f"{part}, round {number + 1} of {setting.rounds}: {result.program.name}: "
            print(f"{done}{result.speeds()[-1]:,.0f} tokens/s", file=sys.stderr, flush=True)
    return results


def cells(result: Measured, base: Measured) -> list[str]:
    """One row of a table: median (smallest..largest of the rounds)."""
    speed = paired(result.speeds(), base.speeds())
    lost = spread([100 * (1 / s - 1) for s in speed], "+.1f") + " %"
    ratio = lost if result.program.part == "overhead" else spread(speed, ".2f")
    own = result is base
    return [
        result.program.name,
        "bf16" if result.reports[0]["bf16"] else "fp32",
        spread(result.speeds(), ",.0f"),
        "-" if own else ratio,
        format(median(result.peaks()), ",.0f"),
        "-" if own else format(median(paired(result.peaks(), base.peaks())), ".2f"),
        format(result.middle("first_step_seconds"), ".1f"),
    ]


def remarks(results: list[Measured], bases: dict[str, Measured], threads: int) -> list[str]:
    """What must be known to believe a table: equal work, and a machine of one's own."""
    lines = []
    for result in results:
        base = bases[result.program.base]
        loss, other = result.middle("loss"), base.middle("loss")
        verdict = "same region" if abs(loss - other) <= ALIKE * other else "NOT THE SAME REGION"
        lines.append(
            f"{result.program.name}: {result.middle('parameters') / 1e6:.3f} M parameters, "
            f"held-out loss {loss:.3f}"
            + ("" if result is base else f" (compared with {other:.3f}: {verdict})")
            + f", {result.cores():.2f} cores"
        )
    if min(r.cores() for r in results) < BUSY * threads:
        share = f"{BUSY:.0%} of {threads} threads"
        lines.append(f"Some programs got less than {share}: measure on a quiet machine.")
    return lines


def show(part: str, results: list[Measured], threads: int, markdown: bool) -> None:
    """Print the table of a part, and what it rests on."""
    console = Console(width=None if Console().is_terminal else 130)
    bases = {r.program.name: r for r in results}
    rows = [cells(result, bases[result.program.base]) for result in results]
    ratios = ("overhead", "x bare") if part == "overhead" else ("x peer", "x peer")
    heads = ["program", "computes in", "tokens/s", ratios[0], "peak MB", ratios[1], "first step s"]
    table = Table(title=PART_TITLES[part])
    for head in heads:
        table.add_column(head, justify="left" if head in heads[:2] else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    lines = [f"- {line}" for line in remarks(results, bases, threads)]
    if markdown:
        body = [f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows]]
        lines = ["", f"{PART_TITLES[part]}:", "", *body, "", *lines, ""]
    print("\n".join(lines), flush=True)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="bench.py", description=__doc__)
    for name, default in (("rounds", 3), ("steps", 12), ("threads", 2)):
        arguments.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    arguments.add_argument("--only", choices=PART_TITLES, help="one part instead of all")
    arguments.add_argument("--markdown", action="store_true", help="print Markdown tables too")
    arguments.add_argument("--smoke", action="store_true", help="does it run? 1 round, tiny")
    arguments.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="of `loom train`")
    return arguments


def main() -> None:
    """Measure and print."""
    options = parser().parse_args()
    if options.steps <= SKIPPED or options.rounds < 1 or options.threads < 1:
        parser().error(f"give --steps above {SKIPPED}, and --rounds and --threads of at least 1")
    with tempfile.TemporaryDirectory(prefix="loom-speed-") as work:
        setting = setting_of(options, Path(work))
        spec = {"mode": "prepare", "overrides": setting.overrides, "work": work}
        report = start(spec, setting.threads)
        versions = report["versions"]
        print(
            f"{report['machine']['processor']}, {setting.threads} threads, "
            f"torch {versions['torch']}, Transformers {versions['transformers']}; {setting.batch} "
            f"rows of {setting.length} tokens a step, {report['token_count']:,} tokens of text",
            flush=True,
        )
        prepared = {key: report[key] for key in ("tokens", "tokenizer")}
        for part in [options.only] if options.only else PART_TITLES:
            show(part, measure(part, setting, prepared), setting.threads, options.markdown)


if __name__ == "__main__":
    main()
