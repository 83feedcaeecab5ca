"""Speed and bytes sent of every way to spread a run over two processes, against one process.

All have two threads in all. Programs run in fresh processes and take turns, as in the bench of
training speed, whose program this is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "speed"))

from bench import ALIKE, BUSY, Measured, measure, paired, prepare, spread  # noqa: E402
from programs import SKIPPED, Program, Setting, setting_of  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from loomlab.report.publish import publish  # noqa: E402

PART = "parallel"
STEPS = SKIPPED + 10  # a multiple of what local_sgd waits for, so that its share is counted
ALONE, PLAIN = "single", "Lightning's DDP"
PROCESSES = 2
WAYS = {
    "ddp": (),
    "ddp, fp16": ("parallelism.communication=fp16",),
    "ddp, power_sgd": ("parallelism.communication=power_sgd", "parallelism.power_sgd_start=2"),
    "local_sgd": ("parallelism.sync_every=10",),
    "fsdp2": (),
    "tp": (),
    "tp, sequence and loss": (
        "parallelism.sequence_parallel=true", "parallelism.loss_parallel=true",
    ),
    "pipeline": (),
}  # fmt: skip
HEADS = [
    "program", "tokens/s", "x single", "x Lightning's DDP", "bytes/token", "peak MB of rank 0",
]  # fmt: skip


def programs() -> list[Program]:
    """All ways in the order in which they take turns; each is one option and its settings."""
    pair = ("parallelism=ddp", f"parallelism.devices={PROCESSES}")
    rows = [Program(PART, ALONE, "loom", ALONE)]
    rows.append(Program(PART, PLAIN, "ddp", ALONE, "fp32", pair, processes=PROCESSES))
    for name, settings in WAYS.items():
        option = name.partition(",")[0]
        own = (f"parallelism={option}", f"parallelism.devices={PROCESSES}", *settings)
        rows.append(Program(PART, name, "loom", ALONE, "fp32", own, processes=PROCESSES))
    return rows


def cells(result: Measured, alone: Measured, plain: Measured) -> list[str]:
    """One row of the table: median (smallest..largest of the rounds)."""
    ratios = [
        "-" if result is base else spread(paired(result.speeds(), base.speeds()), ".2f")
        for base in (alone, plain)
    ]
    sent = "-" if result is alone else format(result.bytes_per_token(), ",.0f")
    speed, peak = spread(result.speeds(), ",.0f"), format(median(result.peaks()), ",.0f")
    return [result.program.name, speed, *ratios, sent, peak]


def remarks(results: list[Measured], threads: int) -> list[str]:
    """What must be known to believe the table: equal work, and a machine of one's own."""
    expected, lines = results[0].middle("loss"), []
    for result in results:
        loss = result.middle("loss")
        if abs(loss - expected) > ALIKE * expected:
            lines.append(f"{result.program.name}: held-out loss {loss:.3f}, not {expected:.3f}")
        share = threads / result.program.processes
        if result.cores() < BUSY * share:
            lines.append(f"{result.program.name}: {result.cores():.2f} cores of {share:g}")
    return lines


def markdown(rows: list[list[str]]) -> str:
    """The table for a README."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [HEADS, ["---"] * len(HEADS), *rows])


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="parallel_bench.py", description=__doc__)
    arguments.add_argument("--only", choices=WAYS, help="one way, beside one process and theirs")
    arguments.add_argument("--rounds", type=int, default=3, help="default 3")
    arguments.add_argument("--publish", action="store_true", help="put the table into the README")
    arguments.add_argument("--smoke", action="store_true", help="does it run? 1 round, tiny")
    arguments.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="of `loom train`")
    arguments.set_defaults(steps=STEPS, threads=2)
    return arguments


def parallel_setting(options: argparse.Namespace, work: Path) -> Setting:
    """That of the bench of training speed, at the number of steps of this one."""
    shared = setting_of(options, work)
    sizes = shared.sizes | {"layers": 2} if options.smoke else shared.sizes  # one for each stage
    return replace(shared, sizes=sizes, steps={PART: STEPS})


def main() -> None:
    """Measure and print."""
    options = parser().parse_args()
    if options.rounds < 1:
        parser().error("give --rounds of at least 1")
    with tempfile.TemporaryDirectory(prefix="loom-parallel-") as work:
        setting = parallel_setting(options, Path(work))
        report = prepare(setting, work)
        prepared = {key: report[key] for key in ("tokens", "tokenizer")}
        chosen = [p for p in programs() if options.only in (None, p.name) or p.name not in WAYS]
        results = measure(chosen, setting, prepared)
    alone, plain = results[:2]
    rows = [cells(result, alone, plain) for result in results]
    table = Table(title="Two processes against one, two threads in all")
    for head in HEADS:
        table.add_column(head, justify="left" if head == HEADS[0] else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=None if Console().is_terminal else 130).print(table)
    for line in (told := remarks(results, setting.threads)):
        print(f"- {line}")
    if options.publish:
        processor = f"{report['machine']['processor']}, {setting.threads} threads"
        notes = "".join(f"\n- {line}" for line in told)
        publish(HERE, f"{processor}, {setting.rounds} rounds.\n\n{markdown(rows)}\n{notes}")


if __name__ == "__main__":
    main()
