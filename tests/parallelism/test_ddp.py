"""Two processes train what one would, leave nothing behind, and do not outlive each other."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed
from safetensors.torch import load_file

from loomlab.parallelism.ddp import DDP, DISTRIBUTED_VARIABLES
from loomlab.run.folder import RunFolder, find_runs
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
Start = Callable[..., "subprocess.Popen[str]"]
SMALL = ["model.layers=2", "model.width=16", "model.heads=2", "runtime=plain"]
PAIR = ["parallelism=ddp", "parallelism.devices=2"]
WHOLE = ["budget.steps=4", "trainer.val_every_n_steps=2", "trainer.limit_val_batches=null"]
KINDS = {
    "clm": ["position=rope"],
    "mlm": ["model=bert", "objective=mlm"],
    "accumulated": ["trainer.accumulate_grad_batches=2"],
    "checkpointed": ["callbacks=[checkpoint]"],
}


def workers(run_dir: Path) -> list[int]:
    """Process ids of the further processes of a run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if b"loomlab.run.worker" in command and str(run_dir).encode() in command:
            found.append(int(path.parent.name))
    return found


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`loom train` as a process group of its own, which is killed when the test ends."""
    processes: list[subprocess.Popen[str]] = []

    def run(*overrides: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "loomlab", "train", *overrides],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
        )  # fmt: skip
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None or workers(tmp_path / "run"):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize(
    "kind", [k if k == "clm" else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)
def test_two_processes_equal_one(train: Train, kind: str):
    alone = train(*SMALL, *WHOLE, *KINDS[kind], folder="alone")
    pair = train(*SMALL, *WHOLE, *KINDS[kind], *PAIR, folder="pair")
    rows, others = read_metrics(alone.metrics), read_metrics(pair.metrics)
    assert [row["step"] for row in others] == [row["step"] for row in rows] == [1, 2, 3, 4]
    for row, other in zip(rows, others, strict=True):
        assert other["train/loss"] == pytest.approx(row["train/loss"], abs=1e-5)
        assert other["tokens"] == row["tokens"]
        assert ("val/loss" in other) == ("val/loss" in row)
        if "val/loss" in row:
            assert other["val/loss"] == pytest.approx(row["val/loss"], abs=1e-5)
            assert other["val/accuracy"] == pytest.approx(row["val/accuracy"], abs=1e-3)
    weights = [load_file(f.model / "model.safetensors") for f in (alone, pair)]
    assert weights[0].keys() == weights[1].keys()
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=0, atol=5e-5)
    assert pair.summary()["status"] == "finished"
    assert pair.summary()["best"]["val/loss"] == pytest.approx(
        alone.summary()["best"]["val/loss"], abs=1e-5
    )
    assert_nothing_left(pair.path)


def assert_nothing_left(run_dir: Path) -> None:
    """The group, its variables and its processes are gone."""
    assert not torch.distributed.is_initialized()
    assert not [name for name in DISTRIBUTED_VARIABLES if name in os.environ]
    wait_until(lambda: not workers(run_dir), seconds=30)


def test_devices_are_processes():
    assert DDP(devices=3).devices == 3
    assert DDP().devices == 2


@pytest.mark.slow
def test_two_jobs_of_a_sweep(start: Start, tiny: Callable[..., list[str]], tmp_path: Path):
    given = [o for o in tiny(*SMALL, *PAIR) if "output_dir" not in o]
    process = start("-m", *given, f"paths.sweep_dir={tmp_path / 'swept'}", "seed=1,2")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    runs = find_runs(tmp_path / "swept")
    assert [run.summary()["status"] for run in runs] == ["finished"] * 2
    assert [[row["step"] for row in read_metrics(run.metrics)] for run in runs] == [[1, 2]] * 2
    losses = [run.summary()["final"]["val/loss"] for run in runs]
    assert losses[0] != losses[1]
    for run in runs:
        wait_until(lambda path=run.path: not workers(path), seconds=30)


@pytest.mark.slow
def test_a_killed_worker_ends_the_run(
    start: Start, tiny: Callable[..., list[str]], tmp_path: Path
):
    folder = RunFolder(tmp_path / "run")
    process = start(*tiny(*SMALL, *PAIR, "budget.steps=1000000"))
    wait_until(lambda: folder.metrics.is_file() and len(read_metrics(folder.metrics)) > 2)
    (worker,) = workers(folder.path)
    os.kill(worker, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0, errors
    assert not workers(folder.path)
    assert not folder.model.exists()


@pytest.mark.slow
def test_ctrl_c_reaches_every_process(
    start: Start, tiny: Callable[..., list[str]], tmp_path: Path
):
    folder = RunFolder(tmp_path / "run")
    process = start(*tiny(*SMALL, *PAIR, "budget.steps=1000000"))
    wait_until(lambda: folder.metrics.is_file() and len(read_metrics(folder.metrics)) > 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert folder.summary()["status"] == "interrupted"
    wait_until(lambda: not workers(folder.path), seconds=30)


@pytest.mark.slow
def test_seconds_end_all_processes_at_the_same_step(
    start: Start, tiny: Callable[..., list[str]], tmp_path: Path
):
    folder = RunFolder(tmp_path / "run")
    timed = ["budget.steps=null", "budget.seconds=3", "trainer.val_every_n_steps=100000"]
    process = start(*tiny(*SMALL, *PAIR, *timed))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert folder.summary()["status"] == "finished"
    assert 3 <= folder.summary()["training_seconds"] < 30
    wait_until(lambda: not workers(folder.path), seconds=30)


@pytest.mark.slow
def test_resumed_run_goes_on(train: Train, tmp_path: Path):
    more = [*SMALL, *PAIR, "callbacks=[checkpoint]", "trainer.val_every_n_steps=2"]
    train(*more, "budget.steps=2", "scheduler=constant", folder="run")
    resume = f"resume={tmp_path / 'run'}"
    resumed = train(*more, "budget.steps=4", "scheduler=constant", resume, folder="run")
    whole = train(*more, "budget.steps=4", "scheduler=constant", folder="whole")
    rows, others = (
        [(row["step"], row["train/loss"], row.get("val/loss")) for row in read_metrics(f.metrics)]
        for f in (resumed, whole)
    )
    assert rows == others
