"""Jobs of a real Slurm: arrays, time that is up, kills, a parent that comes back."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from loomlab.errors import InputError
from loomlab.launch.base import Launch
from loomlab.launch.slurm import Slurm
from loomlab.run.folder import find_runs
from loomlab.run.ledger import DONE, FAILED, Job, Ledger

slow = pytest.mark.slow
Opened = Callable[[Launch], Launch]
Tasks = tuple[Callable, Callable, Callable]
READY = "print('ready', flush=True); import time; time.sleep(60)"
# The first time it saves when it is told to; the second time it finds that and is done.
SAVES = """
import os, pathlib, signal, sys, time
saved = pathlib.Path(os.environ['SAVED'])
if saved.exists(): print('goes on', flush=True); sys.exit(0)
def save(*_): print('saves', flush=True); time.sleep(1); saved.touch(); sys.exit(143)
signal.signal(signal.SIGTERM, save); print('ready', flush=True); time.sleep(60)
"""


def is_ready(tmp_path: Path, *keys: str) -> bool:
    logs = [tmp_path / key / "log" for key in keys]
    return all(log.exists() and "ready" in log.read_text() for log in logs)


def scancel(*arguments: str) -> None:
    subprocess.run(["scancel", *arguments], check=True)


@pytest.mark.soak
def test_time_that_is_up(slurm: Path, opened: Opened, tasks: Tasks, tmp_path: Path):
    """Slurm signals all processes; the job hears of it once, saves, and is queued again."""
    task, ended, until = tasks
    launch = opened(Slurm())
    ids = launch.submit([
        task(key, SAVES, tmp_path, SAVED=str(tmp_path / key / "saved")) for key in ("a", "b")
    ])  # fmt: skip
    until(lambda: is_ready(tmp_path, "a", "b"))
    scancel("--signal=USR2", ids["a"])
    found = ended(launch, 1)
    assert found["a"].exit_code == 0
    assert (tmp_path / "a" / "log").read_text().split("\n")[:3] == ["ready", "saves", "goes on"]
    assert (tmp_path / "b" / "log").read_text() == "ready\n", "only that job"


@pytest.mark.soak
def test_time_that_is_up_too_often(slurm: Path, opened: Opened, tasks: Tasks, tmp_path: Path):
    task, ended, until = tasks
    launch = opened(Slurm(timeout_min=5, max_num_timeout=0))
    ids = launch.submit([task("a", SAVES, tmp_path, SAVED=str(tmp_path / "saved"))])
    until(lambda: is_ready(tmp_path, "a"))
    scancel("--signal=USR2", ids["a"])
    end = ended(launch, 1)["a"]
    assert (end.exit_code, "timed-out too many times" in end.message) == (None, True)


@pytest.mark.soak
def test_what_slurm_kills_is_seen_without_accounting(
    slurm: Path, opened: Opened, tasks: Tasks, tmp_path: Path
):
    """As the out-of-memory killer or an administrator does it: no process can say a word."""
    task, ended, until = tasks
    launch = opened(Slurm(n_parallel=2))
    code = "import os, json; print(json.dumps([os.getppid()]), flush=True)\n" + READY
    ids = launch.submit([task(key, code, tmp_path) for key in ("a", "b", "c")])
    until(lambda: is_ready(tmp_path, "a", "b"))
    assert not (tmp_path / "c" / "log").exists(), "two at a time"
    submitit = json.loads((tmp_path / "a" / "log").read_text().splitlines()[0])[0]
    scancel(ids["c"])
    os.kill(submitit, signal.SIGKILL)
    found = ended(launch, 2)
    assert found["a"].message == "Slurm says FAILED: it left no result"
    assert found["a"].exit_code == 128 + signal.SIGKILL
    assert found["c"].message == "Slurm says CANCELLED: it left no result"
    assert [launch.alive(ids[key]) for key in ("a", "b", "c")] == [False, True, False]


@slow
def test_jobs_of_an_earlier_parent_are_taken_up(
    slurm: Path, opened: Opened, tasks: Tasks, tmp_path: Path
):
    task, ended, until = tasks
    ids = opened(Slurm(n_parallel=1)).submit([
        task("a", SAVES, tmp_path, SAVED=str(tmp_path / "saved")), task("b", "pass", tmp_path)
    ])  # fmt: skip
    until(lambda: is_ready(tmp_path, "a"))
    again = opened(Slurm())
    assert [again.adopt(key, ids[key]) for key in ("a", "b")] == [True, True]
    assert not again.adopt("c", "987654_3")
    again.stop(kill=False)
    found = ended(again, 2)
    assert found["a"].exit_code == 143, "it could save"
    assert found["b"].exit_code == -signal.SIGTERM, "it was taken out of the queue"
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "b" / "log").exists()


@pytest.mark.soak
def test_a_job_of_another_sweep_is_not_touched(
    slurm: Path, opened: Opened, tasks: Tasks, tmp_path: Path
):
    task, ended, _ = tasks
    other = Slurm()
    other.open(tmp_path / "other")
    ids = other.submit([task("a", "print('ready', flush=True); input()", tmp_path)])
    mine = opened(Slurm())
    assert mine.alive(ids["a"]) is False
    mine.stop(kill=True)
    end = ended(other, 1)["a"]
    assert end.exit_code == 1, "it ended by itself, at the end of its input"


@pytest.mark.soak
def test_what_sbatch_refuses(slurm: Path, opened: Opened, tasks: Tasks, tmp_path: Path):
    task, _, _ = tasks
    launch = opened(Slurm(partition="nowhere", sbatch={"comment": "a test"}))
    with pytest.raises(InputError, match=r"sbatch refused the jobs: .*Invalid partition"):
        launch.submit([task("a", "pass", tmp_path)])


def test_without_slurm_the_sentence_says_so(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"commands of Slurm .* not here"):
        opened(Slurm())


GATE = """
import os, time
from pathlib import Path
import pytorch_lightning as pl

class Gate(pl.Callback):
    def __init__(self, of: str = ""):
        self.of = of

    def on_train_batch_end(self, trainer, pl_module, *_):
        gate = Path(self.of) / os.environ["PL_GLOBAL_SEED"]
        asked = lambda: any(getattr(c, "asked", None) for c in trainer.callbacks)
        while trainer.global_step == 6 and gate.exists() and not asked():
            (Path(self.of) / f"at-{gate.name}").touch()
            time.sleep(0.1)
"""


@pytest.mark.soak
def test_a_sweep_that_goes_through_everything(
    slurm: Path, tiny: Callable[..., list[str]], tasks: Tasks, tmp_path: Path
):
    """One job is killed, the time of one is up, the parent is killed; the same command ends it."""
    _, _, until = tasks
    gates = tmp_path / "gates"
    gates.mkdir()
    (tmp_path / "conf" / "callbacks").mkdir(parents=True)
    (tmp_path / "gate.py").write_text(GATE)
    (tmp_path / "conf" / "callbacks" / "gate.yaml").write_text(
        "# @package callbacks.gate\ndefaults: [/schema/callbacks/gate@_here_, _self_]\n"
        f"_target_: gate.Gate\nof: {gates}\n"
    )
    for seed in ("1", "2", "3", "4"):
        (gates / seed).touch()
    given = [o for o in tiny("model.layers=1", "model.width=16", "model.heads=2")
             if not o.startswith(("paths.output_dir", "callbacks"))]  # fmt: skip
    command = [
        sys.executable, "-m", "loomlab", "train", "-m", *given, "budget.steps=10", "seed=1,2,3,4",
        "callbacks=[checkpoint,gate]", "callbacks.checkpoint.every_n_train_steps=2",
        "launch=slurm", "launch.n_parallel=3", "paths.sweep_dir=swept",
    ]  # fmt: skip
    run = {"cwd": tmp_path, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
    ledger = lambda: Ledger(tmp_path / "swept")  # noqa: E731

    def job(seed: int) -> Job:
        return next(j for j in ledger().jobs() if j.differs["seed"] == str(seed))

    with (tmp_path / "first.txt").open("w") as output:
        parent = subprocess.Popen(command, stdout=output, stderr=output, **run)
    until(lambda: all((gates / f"at-{seed}").exists() for seed in (1, 2, 3)))
    assert job(4).state == "pending"
    os.kill(job(2).pid or 0, signal.SIGKILL)
    (gates / "2").unlink()
    until(lambda: job(2).state == FAILED)
    assert job(2).error_type == "SIGKILL"
    scancel("--signal=USR2", str(job(3).engine_id))
    until(lambda: job(3).state == "interrupted")
    parent.kill()
    parent.wait()

    with (tmp_path / "second.txt").open("w") as output:
        parent = subprocess.Popen(command, stdout=output, stderr=output, **run)
    said = lambda: (tmp_path / "second.txt").read_text()  # noqa: E731
    until(lambda: said().count("is still with the engine") == 3)
    for gate in gates.glob("[0-9]"):
        gate.unlink()
    assert parent.wait() == 0, said()
    jobs = {seed: job(seed) for seed in (1, 2, 3, 4)}
    assert {seed: j.state for seed, j in jobs.items()} == dict.fromkeys(jobs, DONE)
    assert {seed: j.attempts for seed, j in jobs.items()} == {1: 1, 2: 2, 3: 2, 4: 1}
    submitted = {p.name for p in (tmp_path / "swept" / "submitit").glob("*_submitted.pkl")}
    assert len(submitted) == 5, "four as an array, and one again"
    assert sorted(str(jobs[seed].engine_id).partition("_")[2] for seed in (1, 3, 4)) == list("023")
    for seed in (2, 3):
        log = (tmp_path / "swept" / jobs[seed].folder / "train.log").read_text()
        assert "resuming from step" in log
    again = subprocess.run(command, capture_output=True, text=True, **run)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "4 of 4 jobs are done already" in again.stdout


@slow
def test_tasks_of_srun_are_one_run(slurm: Path, tiny: Callable[..., list[str]], tmp_path: Path):
    """Every task has the same command line; the first one leads, the other joins it."""
    given = [o for o in tiny("model.layers=1", "model.width=16", "model.heads=2")
             if not o.startswith("paths.output_dir")]  # fmt: skip
    done = subprocess.run(
        ["srun", "-n", "2", sys.executable, "-m", "loomlab", "train", *given, "parallelism=ddp",
         "runtime=plain"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = find_runs(tmp_path / "outputs")
    assert folder.summary()["status"] == "finished"
    assert folder.summary()["reports"]["Traffic"]["bytes_sent"] > 0
    assert folder.config().parallelism.devices == 2
    assert (done.stdout + done.stderr).count("everything is in") == 1
