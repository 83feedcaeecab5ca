"""The speed study: its arithmetic, its command lines, and every program of it for real."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from loomlab.compose.gate import check

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments" / "speed"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"speed_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their annotations up there
    spec.loader.exec_module(module)
    return module


bench, peer = load("bench"), load("peer")


def figures(speed: float, memory: int = 100, loss: float = 2.0) -> object:
    return bench.Figures(speed, memory, first_step=1.0, cores=2.0, loss=loss)


def test_figures_leave_the_first_steps_out():
    wall = [10.0, 20.0, 21.0, 23.0, 24.0]  # skipping two: 1, 2 and 1 seconds
    result = {"wall": wall, "processor": [2 * t for t in wall], "memory": 7, "loss": 3.0}
    found = bench.figures(result, tokens_per_step=64, steps=5, skip=2)
    assert found == bench.Figures(64.0, 7, first_step=10.0, cores=2.0, loss=3.0)
    with pytest.raises(ValueError, match="5 steps were taken instead of 6"):
        bench.figures(result, tokens_per_step=64, steps=6, skip=2)


def test_ratios_are_taken_within_a_round():
    pair = bench.Pair("clm", "loom fp32", "Trainer fp32")
    ours, other = [figures(30), figures(20), figures(80, 50)], [figures(10), figures(20, 50)] * 2
    line = bench.compare(pair, ours, [*other[:2], figures(20, loss=2.5)])
    assert line == ["3.00 (1.00..4.00) x", "1.00 (0.50..2.00) x", "2.000 / 2.000"]


def test_overhead_is_time_lost_in_percent():
    pair = bench.Pair("overhead", "loom fp32", "bare loop fp32")
    assert bench.compare(pair, [figures(50)], [figures(60)])[0] == "overhead +20.0 %"


def test_every_comparison_names_measured_rows():
    names = {(row.group, row.label) for row in bench.ROWS}
    assert len(names) == len(bench.ROWS)
    assert {(p.group, n) for p in bench.PAIRS for n in (p.ours, p.other)} <= names
    for pair in bench.PAIRS:
        assert pair.group in {"clm", "mlm", "overhead"}


@pytest.mark.parametrize(
    "row", [r for r in bench.ROWS if r.mode != "trainer"], ids=lambda r: f"{r.group} {r.label}"
)
def test_rows_of_loom_are_valid_command_lines(row: object, tmp_path: Path):
    spec = peer.Spec(folder=str(tmp_path), started=0.0, **row.spec)
    checked = check(peer.loom_overrides(spec), multirun=False)
    assert not checked.problems, checked.message()
    config = checked.configs[0]
    assert (config.model.layers, config.model.width, config.sequence_length) == (4, 256, 256)
    assert config.trainer.val_every_n_steps == config.budget.steps


@pytest.mark.parametrize("arguments", [["--steps", "8"], ["--rounds", "-1"], ["--only", "x"]])
def test_settings_that_measure_nothing_are_refused(arguments: list[str]):
    with pytest.raises(SystemExit) as refused:
        bench.parse(arguments)
    assert refused.value.code == 2


@pytest.mark.slow
def test_smoke_runs_every_program(tmp_path: Path):
    """One process for each row; the losses of one task agree, so all did the same work."""
    command = [
        sys.executable, str(FOLDER / "bench.py"), "--smoke", "--threads", "1", "--markdown",
        "corpus=text", f"corpus.path={ROOT / 'tests' / 'data' / 'alice.txt'}", "tokenizer=byte",
        f"paths.cache_dir={tmp_path / 'cache'}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    runs = [[c.strip() for c in line.split("|")[1:-1]] for line in lines if "/" not in line]
    runs = [cells for cells in runs if cells[0] in {"clm", "mlm", "overhead"}]
    assert [cells[:2] for cells in runs] == [[r.group, r.label] for r in bench.ROWS]
    for cells in runs:
        values = [float(cell.replace(",", "")) for cell in cells[2:]]
        assert all(0 < value < 1e9 for value in values), cells
    losses = {tuple(cells[:2]): float(cells[-1]) for cells in runs}
    assert max(losses.values()) - min(losses.values()) < 0.2
    assert losses["overhead", "loom fp32"] == losses["overhead", "bare loop fp32"]
    ratios = [line for line in lines if re.search(r"\| [0-9.]+ x \| [0-9.]+ x \|", line)]
    assert len(ratios) == len(bench.PAIRS) - 1  # the overhead is in percent
    assert list(tmp_path.iterdir()) == [tmp_path / "cache"]
