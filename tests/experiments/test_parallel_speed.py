"""The bench of spread runs: figures are what they are called, and every program runs."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from omegaconf import OmegaConf

from loomlab.catalog.axes import all_options
from loomlab.catalog.search import package_conf
from loomlab.compose.gate import check

FOLDER = Path(__file__).parents[2] / "experiments" / "parallel_speed"
APART = ("parallelism", "choice", "hydra")  # hydra holds the command line
OF_FOUR = {"fsdp2_tp"}  # two processes are too few for it


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """parallel_bench.py as a module; what it takes from the bench of speed goes with it."""
    before, path = set(sys.modules), list(sys.path)
    spec = importlib.util.spec_from_file_location("parallel_bench", FOLDER / "parallel_bench.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path
    for name in {"bench", "programs"} - before:
        sys.modules.pop(name, None)


def report(seconds: float, sent: float) -> dict[str, object]:
    """A child's report of equal steps."""
    return {
        "step_seconds": [seconds] * 13, "processor_seconds": [seconds] * 13,
        "sent_bytes": [sent] * 13, "peak_bytes": 1e9, "loss": 7.0, "parameters": 5e6,
        "bf16": False, "first_step_seconds": 3.0,
    }  # fmt: skip


def test_figures_are_of_the_same_round(bench: ModuleType):
    alone, plain, ours, *_ = (bench.Measured(p, 100) for p in bench.programs())
    alone.reports = [report(1.0, 0.0), report(2.0, 0.0)]
    plain.reports = [report(2.0, 500.0), report(2.0, 500.0)]
    ours.reports = [report(2.0, 250.0), report(1.0, 250.0)]
    cells = bench.cells(ours, alone, plain)
    assert cells == [
        "ddp", "75 (50..100)", "1.25 (0.50..2.00)", "1.50 (1.00..2.00)", "2", "1,000",
    ]  # fmt: skip
    assert bench.cells(alone, alone, plain)[2] == "-"
    told = bench.remarks([alone, plain, ours], 2)
    assert told == ["single: 1.00 cores of 2"]
    ours.reports[0]["loss"] = ours.reports[1]["loss"] = 9.0
    assert "ddp: held-out loss 9.000, not 7.000" in bench.remarks([alone, plain, ours], 2)


@pytest.mark.slow
def test_every_option_is_a_program_that_differs_in_nothing_else(bench: ModuleType, tmp_path: Path):
    setting = bench.parallel_setting(bench.parser().parse_args([]), tmp_path)
    options, rest = {"single"}, []
    for program in bench.programs():
        checked = check(program.spec(setting)["overrides"])
        assert not checked.problems, checked.message()
        config = OmegaConf.to_container(checked.configs[0])
        options |= {o.partition("=")[2] for o in program.overrides[:1]}
        rest.append({k: v for k, v in config.items() if k not in APART})
    assert options == set(all_options([package_conf()])["parallelism"]) - OF_FOUR
    for config in rest:
        assert config == rest[0]


@pytest.mark.soak
def test_its_programs_run(bench: ModuleType, tmp_path: Path):
    """Ours in one process and two, and Lightning's own; other ways have tests of their own."""
    command = [sys.executable, str(FOLDER / "parallel_bench.py"), "--smoke", "--only", "ddp"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = re.findall(r"^parallel, (.+), round 1 of 1: ([\d,]+) tokens/s", done.stderr, re.M)
    assert [name for name, _ in figures] == [bench.ALONE, bench.PLAIN, "ddp"]
    assert all(int(speed.replace(",", "")) > 0 for _, speed in figures)
    assert "held-out loss" not in done.stdout, "all must have learned the same"
    assert list(tmp_path.iterdir()) == []
