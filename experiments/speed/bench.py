"""Training speed: `loom train` against Transformers' Trainer on the same tokens.

Every program runs in a fresh process (peer.py), the programs of a comparison one after the other
in every round. Overrides after the options (`corpus=text corpus.path=...`) go to all of them.
"""

# Nothing heavy is imported here: a child's peak memory starts at what its parent holds.

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

from programs import PARTS, SKIPPED, Program, Setting, programs, setting_of
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
UNEVEN = ("overhead", "parallel")  # parts in which a step now and then does more than the others
ALIKE = 0.05  # held-out losses within 5 % of each other are of the same region
BUSY = 0.9  # a program that got less of its threads than this was not alone on the machine

PART_TITLES = {
    "clm": "Causal language model (GPT)",
    "mlm": "Masked language model (BERT)",
    "overhead": "Our trainer and logging over a bare loop",
}


@dataclass
class Measured:
    """What the rounds of one program gave."""

    program: Program
    tokens_per_step: int
    reports: list[dict[str, Any]] = field(default_factory=list)

    def seconds(self) -> list[float]:
        """Seconds of a step, one figure a round: the median, of uneven steps the mean.

        A median would hide the cost of logging, which falls on every tenth step.
        """
        figure = mean if self.program.part in UNEVEN else median
        return [figure(r["step_seconds"][SKIPPED - 1 :]) for r in self.reports]

    def speeds(self) -> list[float]:
        """Tokens per second, one figure a round."""
        return [self.tokens_per_step / s for s in self.seconds()]

    def bytes_per_token(self) -> float:
        """Bytes that the processes of the program sent each other, over all steps timed."""
        sent = [mean(r["sent_bytes"][SKIPPED - 1 :]) for r in self.reports]
        return median(sent) / self.tokens_per_step

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


def measure(
    chosen: Iterable[Program], setting: Setting, prepared: dict[str, Any]
) -> list[Measured]:
    """Run programs, interleaved."""
    results = [Measured(p, setting.batch * setting.length) for p in chosen]
    for number in range(setting.rounds):
        for result in results:
            spec = {**prepared, **result.program.spec(setting)}
            result.reports.append(start(spec, setting.threads // result.program.processes))
            name = f"{result.program.part}, {result.program.name}"
            done = f"{name}, round {number + 1} of {setting.rounds}: "
            print(f"{done}{result.speeds()[-1]:,.0f} tokens/s", file=sys.stderr, flush=True)
    return results


def prepare(setting: Setting, work: str) -> dict[str, Any]:
    """Tokenize, and say what the machine is and at most reaches."""
    spec = {"mode": "prepare", "overrides": setting.overrides, "work": work}
    report = start(spec, setting.threads)
    versions = report["versions"]
    print(
        f"{report['machine']['processor']}, {setting.threads} threads, "
        f"torch {versions['torch']}, Transformers {versions['transformers']}; {setting.batch} "
        f"rows of {setting.length} tokens a step, {report['token_count']:,} tokens of text",
        flush=True,
    )
    return report


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


def ceilings(results: list[Measured], peak: dict[str, float]) -> list[str]:
    """The speed at which a step would consist of its matrix products alone, at their peak."""
    lines = []
    for precision in ("fp32", "bf16"):
        ours = [r for r in results if r.program.name == f"loom, {precision}"]
        peers = [r for r in results if r.program.name == f"Trainer, {precision}"]
        if ours and peers:
            fastest = ours[0].tokens_per_step * peak[precision] / ours[0].middle("flops_per_step")
            ratio = fastest / median(peers[0].speeds())
            lines.append(
                f"{precision}: products reach {peak[precision] / 1e9:,.0f} GFLOP/s here, so no "
                f"program can train at more than {fastest:,.0f} tokens/s, {ratio:.2f} x Trainer"
            )
    return lines


def show(
    part: str, results: list[Measured], threads: int, markdown: bool, peak: dict[str, float]
) -> None:
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
    told = [*remarks(results, bases, threads), *ceilings(results, peak)]
    lines = [f"- {line}" for line in told]
    if markdown:
        body = [f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows]]
        lines = ["", f"{PART_TITLES[part]}:", "", *body, "", *lines, ""]
    print("\n".join(lines), flush=True)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="bench.py", description=__doc__)
    for name, default in (("rounds", 3), ("steps", 12), ("threads", 2)):
        arguments.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    arguments.add_argument("--only", choices=PARTS, help="one part instead of all")
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
        report = prepare(setting, work)
        prepared = {key: report[key] for key in ("tokens", "tokenizer")}
        for part in [options.only] if options.only else PARTS:
            results = measure(programs(part), setting, prepared)
            show(part, results, setting.threads, options.markdown, report["peak"])


if __name__ == "__main__":
    main()
