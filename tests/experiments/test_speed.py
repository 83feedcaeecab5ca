"""The speed bench: its figures are what they are called, and every program really runs."""

import importlib.util
import math
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from loomlab.compose.gate import check

FOLDER = Path(__file__).parents[2] / "experiments" / "speed"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """experiments/speed/bench.py as a module."""
    sys.path.insert(0, str(FOLDER))  # as when it runs as a script: its parts lie beside it
    spec = importlib.util.spec_from_file_location("speed_bench", FOLDER / "bench.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["speed_bench"] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


def report(seconds: list[float], peak: float = 1e9) -> dict[str, object]:
    """A child's report with given step times."""
    return {
        "step_seconds": seconds, "processor_seconds": [2 * s for s in seconds],
        "peak_bytes": peak, "loss": 7.0, "parameters": 5e6, "bf16": False,
        "first_step_seconds": 3.0,
    }  # fmt: skip


def test_the_ceiling_is_the_peak_of_the_products(bench: ModuleType):
    """A step of 2e9 FLOPs at 1e10 FLOP/s is 5 steps, 500 tokens a second: half the peer's."""
    peer, _, _, ours, *_ = bench.programs("clm")
    rows = [bench.Measured(peer, 100, [report([0.1] * 5)])]
    rows.append(bench.Measured(ours, 100, [report([0.2] * 5) | {"flops_per_step": 2e9}]))
    (line,) = bench.ceilings(rows, {"fp32": 1e10, "bf16": 1e10})
    assert line.startswith("fp32")
    assert "10 GFLOP/s" in line
    assert "500 tokens/s, 0.50 x" in line


def test_figures_skip_the_first_steps_and_pair_rounds(bench: ModuleType):
    peer_program, _, _, ours_program, *_ = bench.programs("clm")
    assert (peer_program.mode, ours_program.mode) == ("trainer", "loom")
    assert ours_program.base == peer_program.name
    peer = bench.Measured(peer_program, 100)
    ours = bench.Measured(ours_program, 100)
    warm = [50.0, 50.0, 50.0]  # of steps 2, 3 and 4; step 1 has its own figure
    peer.reports = [report([*warm, 1.0, 2.0, 9.0]), report([*warm, 4.0, 4.0, 4.0])]
    ours.reports = [report([*warm, 1.0, 1.0, 9.0], 5e8), report([*warm, 1.0, 1.0, 1.0], 5e8)]
    assert peer.seconds() == [2.0, 4.0]
    assert ours.speeds() == [100.0, 100.0]
    assert ours.cores() == 2.0
    name, precision, speed, ratio, peak, memory, first = bench.cells(ours, peer)
    assert (name, precision, speed) == (ours_program.name, "fp32", "100 (100..100)")
    assert ratio == "3.00 (2.00..4.00)"
    assert (peak, memory, first) == ("500", "0.50", "3.0")


def test_overhead_is_a_mean_in_percent(bench: ModuleType):
    loop, loom, _ = bench.programs("overhead")
    base, ours = bench.Measured(loop, 100), bench.Measured(loom, 100)
    base.reports = [report([9.0, 9.0, 9.0, 1.0, 1.0])]
    ours.reports = [report([9.0, 9.0, 9.0, 1.0, 1.5])]
    assert bench.cells(ours, base)[3] == "+25.0 %"
    assert bench.cells(base, base)[3] == "-"


def test_unequal_work_and_a_busy_machine_are_called_out(bench: ModuleType):
    programs = bench.programs("mlm")
    results = [bench.Measured(p, 100, [report([1.0] * 5)]) for p in programs]
    bases = {r.program.name: r for r in results}
    assert "NOT THE SAME" not in "\n".join(bench.remarks(results, bases, 2))
    results[-1].reports[0]["loss"] = 8.0
    lines = bench.remarks(results, bases, 4)
    refused = [line.partition(":")[0] for line in lines if "NOT THE SAME" in line]
    assert refused == [programs[-1].name]
    assert "quiet machine" in lines[-1]


@pytest.mark.parametrize("part", ["clm", "mlm", "overhead"])
def test_programs_are_valid_command_lines_of_one_shape(
    bench: ModuleType, part: str, tmp_path: Path
):
    setting = bench.setting_of(bench.parser().parse_args([]), tmp_path)
    names = {p.name for p in bench.programs(part)}
    for program in bench.programs(part):
        assert program.base in names
        checked = check(program.spec(setting)["overrides"])
        assert not checked.problems, checked.message()
        config = checked.configs[0]
        assert (config.model.layers, config.model.width, config.model.heads) == (4, 256, 4)
        assert (config.sequence_length, config.global_batch_size) == (256, 16)
        assert config.model.dropout == 0.0
        assert config.trainer.val_every_n_steps > config.budget.steps


def test_peer_learns_as_ours_does(bench: ModuleType, tmp_path: Path):
    """Rates and decays stand in two files; the peer's must be those of the command line."""
    text = (FOLDER / "peer.py").read_text(encoding="utf-8")
    found = re.search(r"= ([\d.e-]+), ([\d.]+), \(([\d.]+), ([\d.]+)\), ([\d.]+)\n", text)
    assert found is not None
    setting = bench.setting_of(bench.parser().parse_args([]), tmp_path)
    overrides = bench.programs("clm")[0].spec(setting)["overrides"]
    config = check(overrides).configs[0]
    ours = [config.optimizer.lr, config.optimizer.weight_decay, *config.optimizer.betas]
    assert [float(x) for x in found.groups()] == [*ours, config.trainer.gradient_clip_val]


@pytest.mark.parametrize("arguments", [["--steps", "4"], ["--rounds", "0"], ["--only", "x"]])
def test_settings_that_measure_nothing_are_refused(arguments: list[str]):
    command = [sys.executable, str(FOLDER / "bench.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert arguments[0] in done.stderr


@pytest.mark.soak
@pytest.mark.parametrize("part", ["clm", "mlm", "overhead"])
def test_every_program_runs(part: str, bench: ModuleType, tmp_path: Path):
    command = [sys.executable, str(FOLDER / "bench.py"), "--smoke", "--markdown"]
    done = subprocess.run(
        [*command, "--only", part, "--threads", "1"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line[:2] == "| "]
    assert [row[0] for row in rows[2:]] == [p.name for p in bench.programs(part)]
    for _, precision, speed, _, peak, _, first in rows[2:]:
        assert precision in ("fp32", "bf16")
        figures = [float(x.replace(",", "")) for x in (speed, peak, first)]
        assert all(math.isfinite(x) and x > 0 for x in figures)
    losses = [float(x) for x in re.findall(r"^- .* held-out loss ([\d.]+)", done.stdout, re.M)]
    assert len(losses) == len(rows) - 2
    assert all(4.0 < loss < 6.0 for loss in losses)  # six steps from ln 260 = 5.56
    assert "NOT THE SAME REGION" not in done.stdout
    assert list(tmp_path.iterdir()) == []
