"""The bench of exports: figures are what they are called, and every format really answers."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "experiments" / "export_latency"
ALICE = Path(__file__).parents[1] / "data" / "alice.txt"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """latency_bench.py as a module."""
    spec = importlib.util.spec_from_file_location("latency_bench", FOLDER / "latency_bench.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ratios_are_of_the_same_round(bench: ModuleType):
    taken = {bench.EAGER: [0.004, 0.002], "onnx": [0.001, 0.001]}
    eager, onnx = bench.rows_of("gpt", taken, {bench.EAGER: 8_000_000, "onnx": 2_000_000})
    assert eager == ["gpt", bench.EAGER, "3.00 (2.00..4.00)", "-", "8.0", "-"]
    assert onnx == ["gpt", "onnx", "1.00 (1.00..1.00)", "3.00 (2.00..4.00)", "2.0", "0.25"]


def test_the_first_calls_do_not_count(bench: ModuleType):
    calls: list[int] = []
    times = list(bench.timed(lambda: calls.append(1)))
    assert len(calls) == len(times) == bench.WARM + bench.CALLS


@pytest.mark.soak
def test_every_format_answers(bench: ModuleType, cache_dir: Path, tmp_path: Path):
    text = ["corpus=text", f"corpus.path={ALICE}", "tokenizer=byte"]
    command = [sys.executable, str(FOLDER / "latency_bench.py"), "--smoke", "--rounds", "1"]
    done = subprocess.run(
        [*command, *text, f"paths.cache_dir={cache_dir}"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in (bench.EAGER, *bench.formats()):
        assert done.stdout.count(f" {name} ") == len(bench.MODELS)
