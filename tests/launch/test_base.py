"""What holds on every launcher: how jobs end, how they are stopped, and what the ledger says."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import warm
from tests.marks import fast_slow_soak

from loomlab.launch.base import Launch, Task, available_cores
from loomlab.launch.joblib import Joblib
from loomlab.launch.local import Local
from loomlab.launch.process import Orders
from loomlab.launch.ray import Ray
from loomlab.launch.slurm import Slurm
from loomlab.launch.submitit_local import SubmititLocal
from loomlab.run.ledger import DONE, FAILED, PENDING, Ledger

ENDS = {
    "done": ("pass", 0),
    "exits": ("raise SystemExit(7)", 7),
    "raises": ("raise KeyError", 1),
    "killed": ("import os; os.kill(os.getpid(), 9)", -9),
}
ENGINES = ("joblib", "submitit_local", "ray", "slurm")  # all but joblib take seconds to start
ALL = fast_slow_soak(ENGINES, fast=["joblib"], slow=["slurm"])
MADE: dict[str, Callable[[], Launch]] = {
    "local": lambda: Local(n_parallel=4),
    "joblib": lambda: Joblib(n_parallel=4),
    "submitit_local": lambda: SubmititLocal(n_parallel=4),
    "ray": lambda: Ray(n_parallel=4),
    "slurm": Slurm,
}
Tasks = tuple[Callable[..., Task], Callable[..., dict], Callable[..., None]]


@pytest.fixture(params=["local", *ALL])
def launch(request: pytest.FixtureRequest, opened: Callable[[Launch], Launch]) -> Launch:
    if request.param == "slurm":
        request.getfixturevalue("slurm")
    return opened(MADE[request.param]())


def test_how_tasks_end(launch: Launch, tasks: Tasks, tmp_path: Path):
    task, ended, _ = tasks
    place = "import os, sys; print(os.environ['SHARE'], os.getcwd()); print('x', file=sys.stderr)"
    (tmp_path / "place" / "inside").mkdir(parents=True)
    there = Task("place", [sys.executable, "-c", place], tmp_path / "place" / "log",
                 {"SHARE": "mine"}, str(tmp_path / "place" / "inside"))  # fmt: skip
    launch.submit([*(task(key, code, tmp_path) for key, (code, _) in ENDS.items()), there])
    found = {key: end.exit_code for key, end in ended(launch, len(ENDS) + 1).items()}
    assert found == {**{key: code for key, (_, code) in ENDS.items()}, "place": 0}
    assert "KeyError" in (tmp_path / "raises" / "log").read_text()
    words = sorted((tmp_path / "place" / "log").read_text().split())
    assert words == sorted(["mine", str(tmp_path / "place" / "inside"), "x"])
    assert launch.poll() == [], "each end is told once"


LISTENS = """
import signal, sys, time
def save(*_): print('saved', flush=True); time.sleep(1); sys.exit(143)
signal.signal(signal.SIGTERM, save); print('ready', flush=True); time.sleep(60)
"""


def test_told_to_stop_they_save_once(launch: Launch, tasks: Tasks, tmp_path: Path):
    """A second SIGTERM would end a training that is still saving."""
    task, ended, until = tasks
    launch.submit([task("a", LISTENS, tmp_path), task("b", LISTENS, tmp_path)])
    logs = [tmp_path / key / "log" for key in ("a", "b")]
    until(lambda: all(p.exists() and "ready" in p.read_text() for p in logs))
    launch.stop(kill=False)
    assert {end.exit_code for end in ended(launch, 2).values()} == {143}
    assert [p.read_text().split() for p in logs] == [["ready", "saved"]] * 2


PARENT = """
import signal, sys, time
from pathlib import Path
from loomlab.launch.base import Task
folder, asked, ended = Path(sys.argv[1]), [], []
launch = {made}
launch.open(folder)
signal.signal(signal.SIGINT, lambda *_: asked or (asked.append(1), launch.stop(kill=False)))
launch.submit([Task(k, [sys.executable, "-c", sys.argv[2]], folder / k / "log") for k in "ab"])
while len(ended) < 2:
    ended += launch.poll()
    time.sleep(0.05)
launch.close()
print(sorted((end.key, end.exit_code) for end in ended))
"""


@pytest.mark.parametrize("name", ["local", *ALL[:-1]])
def test_ctrl_c_of_the_terminal_reaches_jobs_through_the_sweep_only(
    tasks: Tasks, tmp_path: Path, name: str
):
    """The terminal signals every process of its group, the engine's workers among them."""
    made = type(MADE[name]())
    start = f"__import__('{made.__module__}', fromlist='x').{made.__name__}(n_parallel=2)"
    code = PARENT.format(made=start)
    command = [sys.executable, "-c", code, str(tmp_path), LISTENS]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    _, _, until = tasks
    logs = [tmp_path / key / "log" for key in ("a", "b")]
    until(lambda: all(p.exists() and "ready" in p.read_text() for p in logs))
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.communicate()[0] == "[('a', 143), ('b', 143)]\n"
    assert [p.read_text().split() for p in logs] == [["ready", "saved"]] * 2


def test_orders_are_given_and_withdrawn(tmp_path: Path):
    orders = Orders(tmp_path)
    assert orders.heard() is None
    orders.give(kill=False)
    assert orders.heard() == signal.SIGTERM
    orders.give(kill=True)
    assert orders.heard() == signal.SIGKILL
    orders.withdraw()
    assert orders.heard() is None
    assert list(tmp_path.iterdir()) == []


def test_threads_are_divided():
    cores = available_cores()
    assert Local().threads_each() == cores
    assert Local(n_parallel=cores).threads_each() == 1
    assert Local(n_parallel=cores * 2).threads_each() == 1
    assert Local(n_parallel=4, threads=3).threads_each() == 3
    assert Slurm(cpus_per_task=6).threads_each() == 6


def test_a_queue_is_filled_by_grids_only():
    assert [Local(n_parallel=2).room(learns) for learns in (False, True)] == [2, 2]
    slurm = Slurm(n_parallel=2, max_queued=50)
    assert [slurm.room(learns) for learns in (False, True)] == [50, 2]


@pytest.fixture
def command(tmp_path: Path, tiny: Callable[..., list[str]]) -> Iterator[list[str]]:
    """A sweep of two tiny jobs, the second of which its data refuses."""
    (tmp_path / "short.txt").write_text("too short")
    dropped = ("paths.output_dir", "corpus.path")
    given = [o for o in tiny("model.layers=1", "model.width=16", "model.heads=2")
             if not o.startswith(dropped)]  # fmt: skip
    texts = Path(__file__).parents[1] / "data"
    paths = f"corpus.path={texts / 'alice.txt'},short.txt"
    return ["train", "-m", *given, paths, "paths.sweep_dir=swept"]


@pytest.mark.parametrize("name", fast_slow_soak(MADE, slow=["local", "slurm"]))
def test_the_same_ledger_on_each(
    request: pytest.FixtureRequest, name: str, command: list[str], tmp_path: Path
):
    if name == "slurm":
        request.getfixturevalue("slurm")
    settings = [f"launch={name}", *([] if name == "slurm" else ["launch.n_parallel=2"])]
    started = time.time()
    done = warm.run([*command, *settings], tmp_path, **{warm.COLD: "1"})
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    jobs = Ledger(tmp_path / "swept").jobs()
    assert [job.state for job in jobs] == [DONE, FAILED]
    assert [job.attempts for job in jobs] == [1, 1]
    assert (jobs[1].error_type, jobs[1].metric) == ("InputError", None)
    assert "the corpus has 0 documents" in str(jobs[1].message)
    for job in jobs:
        assert started < (job.started or 0) < (job.ended or 0)
        assert (tmp_path / "swept" / job.folder / "console.log").stat().st_size
    if name == "slurm":
        assert [str(job.engine_id).partition("_")[2] for job in jobs] == ["0", "1"]
    assert list((tmp_path / "swept").glob(".orders*")) == []


@pytest.mark.parametrize("name", ["slurm", "submitit_local"])
def test_secrets_are_not_given_to_what_writes_its_jobs_to_disk(
    ended: Callable[..., tuple[int, str]],
    tiny: Callable[..., list[str]],
    tmp_path: Path,
    name: str,
):
    given = [o for o in tiny() if not o.startswith("paths.output_dir")]
    folder = tmp_path / "swept"
    arguments = [*given, "seed=1,2", f"launch={name}", f"paths.sweep_dir={folder}"]
    code, said = ended("train", "-m", *arguments, "+logger.hf_token=hf_planted_12345")
    assert code == 2
    assert "+logger.hf_token='${oc.env:NAME}'" in said
    assert "hf_planted" not in said
    assert not folder.exists()


@pytest.mark.slow
def test_what_the_engine_refuses_is_a_sentence(slurm: Path, command: list[str], tmp_path: Path):
    given = [*command, "launch=slurm", "launch.partition=nowhere"]
    done = warm.run(given, tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith("sbatch refused the jobs: Batch job submission failed: "
                                "Invalid partition name specified\n")  # fmt: skip
    assert {job.state for job in Ledger(tmp_path / "swept").jobs()} == {PENDING}
