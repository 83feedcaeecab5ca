"""What the bench compares: the programs of each part, and the setting they all share."""

# Nothing heavy is imported here: a child's peak memory starts at what its parent holds.

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SKIPPED = 4  # first steps that are not counted: they fill caches and the allocator
OVERHEAD_STEPS = SKIPPED + 40  # four logged steps among 40, as in any run
PARTS = ("clm", "mlm", "overhead")
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
    processes: int = 1  # that share the threads

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
    steps = dict.fromkeys(PARTS, SKIPPED + 2 if options.smoke else options.steps)
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
