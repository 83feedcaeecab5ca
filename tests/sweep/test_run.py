"""Real sweeps that are killed, broken and given again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE
from tests.warm import WarmProcess
from tests.warm import run as run_loom

from loomlab.run.ledger import DONE, FAILED, RUNNING, Job, Ledger
from loomlab.run.metrics_file import read_metrics
from loomlab.sweep.processes import process_start

pytestmark = pytest.mark.slow  # each job is a process that imports torch

SMALL = ["model.layers=1", "model.width=16", "model.heads=2", "model.dropout=0.1"]
VARIES = {"seconds", "train/tokens_per_second", "system/peak_memory_bytes"}
TROUBLE = """
import os, sys, time
from pathlib import Path
import pytorch_lightning as pl

class Trouble(pl.Callback):
    def __init__(self, of: str = "", wait: float = 0.0):
        self.of, self.wait = of, wait

    def on_train_batch_end(self, trainer, pl_module, *_):
        time.sleep(self.wait)
        seed, step = str(os.environ["PL_GLOBAL_SEED"]), trainer.global_step
        met = Path(self.of) / f"met-{seed}"
        if step != 6 or not (Path(self.of) / seed).is_file() or met.exists():
            return
        met.touch()
        kind = (Path(self.of) / seed).read_text()
        if kind == "raise":
            raise RuntimeError("the disk spoke in tongues")
        if kind == "exit":
            os._exit(0)
        time.sleep(120)  # until it is killed
"""


class Sweep:
    """A sweep whose jobs can be told to fail, in an empty folder."""

    def __init__(self, folder: Path, given: list[str]) -> None:
        self.folder = folder
        (folder / "conf" / "callbacks").mkdir(parents=True)
        (folder / "trouble.py").write_text(TROUBLE)
        (folder / "conf" / "callbacks" / "trouble.yaml").write_text(
            "# @package callbacks.trouble\ndefaults: [/schema/callbacks/trouble@_here_, _self_]\n"
            f"_target_: trouble.Trouble\nof: {folder / 'of'}\n"
        )
        (folder / "of").mkdir()
        self.command = [
            sys.executable, "-m", "loomlab", "train", "-m", *given, *SMALL,
            "callbacks=[checkpoint,trouble]", "callbacks.checkpoint.every_n_train_steps=2",
            "budget.steps=10", "logger=wandb", "launch.n_parallel=2",
            "paths.sweep_dir=swept",
        ]  # fmt: skip

    def start(self, *overrides: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self.command, *overrides], cwd=self.folder, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def run(self, *overrides: str) -> tuple[int, str]:
        process = self.start(*overrides)
        output, _ = process.communicate()
        return process.returncode, output

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folder / "swept")

    def job(self, seed: int) -> Job:
        return next(j for j in self.ledger.jobs() if j.differs["seed"] == str(seed))

    def run_of(self, seed: int) -> Path:
        return self.ledger.folder / self.job(seed).folder


@pytest.fixture
def sweep(tmp_path: Path, tiny: Callable[..., list[str]]) -> Iterator[Sweep]:
    given = [o for o in tiny() if not o.startswith(("paths.output_dir", "callbacks", "logger"))]
    made = Sweep(tmp_path / "work", given)
    yield made
    for job in made.ledger.jobs() if (made.folder / "swept").exists() else []:
        if job.state == RUNNING and job.pid and process_start(job.pid) == job.process_start:
            os.kill(job.pid, signal.SIGKILL)


def until(process: "subprocess.Popen[str] | WarmProcess", condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.1)


def rows(run: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k not in VARIES}
            for row in read_metrics(run / "metrics.csv")]  # fmt: skip


@pytest.mark.soak
def test_twelve_jobs_and_everything_that_can_happen_to_them(sweep: Sweep, wandb_server: Any):
    """One is killed, one raises, one leaves, the parent is killed; the same command ends it."""
    for seed, what in ((1, "raise"), (2, "exit"), (3, "wait")):
        (sweep.folder / "of" / str(seed)).write_text(what)
    seeds = "seed=range(1,13)"
    parent = sweep.start(seeds)
    until(parent, lambda: (sweep.folder / "of" / "met-3").exists())
    os.kill(sweep.job(3).pid or 0, signal.SIGKILL)
    until(parent, lambda: sum(job.state == DONE for job in sweep.ledger.jobs()) >= 2)
    parent.kill()
    parent.communicate()
    assert (sweep.ledger.folder / "report.html").is_file(), "written while it ran"
    states = {job.differs["seed"]: job.state for job in sweep.ledger.jobs()}
    assert len(states) == 12
    assert {states["1"], states["2"], states["3"]} == {FAILED}
    told = [str(sweep.job(seed).message) for seed in (1, 2, 3)]
    assert told[0] == "the disk spoke in tongues"
    assert sweep.job(1).error_type == "RuntimeError"
    assert "tongues" in str(sweep.job(1).log_tail)
    assert "left with exit code 0" in told[1]
    assert "killed by SIGKILL" in told[2]

    code, output = sweep.run(seeds)
    assert code == 0, output
    jobs = sweep.ledger.jobs()
    assert [job.state for job in jobs] == [DONE] * 12
    again = {int(job.differs["seed"]) for job in jobs if job.attempts > 1}
    assert {1, 2, 3} <= again
    assert len(again) <= 5, "beside the three, only what ran when the parent was killed"
    for job in jobs:
        assert [r["step"] for r in rows(sweep.ledger.folder / job.folder)][-1] == 10
    clean = sweep.folder / "clean"
    single = [o for o in sweep.command[5:] if not o.startswith(("launch.", "paths.sweep_dir"))]
    done = subprocess.run(
        [*sweep.command[:4], *single, "seed=3", f"paths.output_dir={clean}"],
        cwd=sweep.folder, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0
    interrupted = sweep.run_of(3)
    assert rows(interrupted) == rows(clean)
    weights = [(run / "model" / "model.safetensors").read_bytes() for run in (interrupted, clean)]
    assert weights[0] == weights[1]
    folders = [str(p) for p in sweep.ledger.folder.glob("*/wandb/offline-run-*")]
    assert len(folders) > 12, "the interrupted ones have a folder for each part"
    sync = [str(Path(sys.executable).with_name("wandb")), "sync", *folders]
    subprocess.run(sync, check=True, env={**os.environ, **wandb_server.environment})
    runs = wandb_server.runs
    assert len(runs) == 12, "one run for each job"
    assert {run.fields["groupName"] for run in runs.values()} == {"swept"}
    for run in runs.values():
        assert max(row["trainer/global_step"] for row in run.history
                   if "trainer/global_step" in row) == 10  # fmt: skip

    code, output = sweep.run(seeds)
    assert code == 0
    assert "12 of 12 jobs are done already" in output
    assert [job.attempts for job in sweep.ledger.jobs()] == [job.attempts for job in jobs]


def test_ctrl_c_and_going_on(sweep: Sweep, warm: Callable[..., WarmProcess]):
    """One job is interrupted, the other has not begun."""
    given = ["seed=1,2", "launch.n_parallel=1", "callbacks.trouble.wait=0.1", "logger=none"]
    process = warm([*sweep.command[3:], *given], sweep.folder, together=True)
    until(process, lambda: (sweep.folder / "swept").exists() and any(
        (sweep.ledger.folder / job.folder / "checkpoints" / "last.ckpt").exists()
        for job in sweep.ledger.jobs()))  # fmt: skip
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "interrupted, goes on from its last checkpoint" in output
    resumed = run_loom(["sweep", "resume", "swept"], sweep.folder)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert [job.state for job in sweep.ledger.jobs()] == [DONE] * 2
    logs = [(sweep.run_of(seed) / "train.log").read_text() for seed in (1, 2)]
    assert ["resuming from step" in log for log in logs] == [True, False]


@pytest.mark.soak
def test_a_changed_command_needs_a_word(sweep: Sweep):
    assert sweep.run("seed=1")[0] == 0
    code, output = sweep.run("seed=1,2")
    assert code == 2
    assert "no longer given: seed=1; now given: seed=1,2" in output
    assert "sweep.extend=true to add the 1 job not in it yet" in output
    code, output = sweep.run("seed=1,2", "sweep.extend=true")
    assert code == 0, output
    assert [job.attempts for job in sweep.ledger.jobs()] == [1, 1]
