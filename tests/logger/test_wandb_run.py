"""Whatever happens to W&B, training ends well, with the result of a run without it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.marks import fast_slow_soak
from tests.patience import PATIENCE
from tests.small_disk import fill, small_disk
from tests.warm import WarmProcess
from tests.warm import run as run_loom

from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

DROPOUT = ["model.layers=1", "model.width=16", "model.heads=2", "model.dropout=0.1"]
STEPS, MIDDLE = 60, 15  # a test may act in the middle, where a run waits for it
LONG = [*DROPOUT, f"budget.steps={STEPS}", "callbacks=[checkpoint]", "runtime=plain"]
VARIES = {"seconds", "train/tokens_per_second", "system/peak_memory_bytes"}
pytestmark = pytest.mark.slow  # each starts processes of its own


def numbers(folder: Path) -> list[dict[str, float]]:
    rows = read_metrics(folder / "metrics.csv")
    return [{k: v for k, v in row.items() if k not in VARIES} for row in rows]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without W&B."""
    return tmp_path_factory.mktemp("undisturbed")


@pytest.fixture
def start(
    tiny: Callable[..., list[str]], warm: Callable[..., WarmProcess], tmp_path: Path
) -> Callable[..., WarmProcess]:
    """Start a run as a process of its own."""

    def run(
        *more: str, folder: str = "run", stop_at: int | None = None, **environment: str
    ) -> WarmProcess:
        command = ["train", *tiny(*LONG, *more, folder=folder)]
        return warm(command, tmp_path, environment, together=True, stop_at=stop_at)

    return run


@pytest.fixture
def equal(start: Callable[..., WarmProcess], tmp_path: Path, undisturbed: Path):
    """Assert that a run ended well and as one without W&B does; returns what it printed."""

    def check(process: WarmProcess) -> str:
        output, _ = process.communicate()
        assert process.returncode == 0, output
        assert "Traceback" not in output
        reference = undisturbed / "run"
        if not reference.exists():
            other = start("logger=none", folder="plain")
            assert other.wait(PATIENCE) == 0
            (tmp_path / "plain").rename(reference)
        files = [
            folder / "model" / "model.safetensors" for folder in (reference, tmp_path / "run")
        ]
        assert files[0].read_bytes() == files[1].read_bytes()
        assert numbers(tmp_path / "run") == numbers(reference)
        assert RunFolder(tmp_path / "run").summary()["status"] == "finished"
        return output

    return check


@pytest.mark.parametrize(
    "replies",
    [pytest.param(False, id="closed port", marks=pytest.mark.soak),
     pytest.param(True, id="accepts and is silent")],
)  # fmt: skip
def test_a_dead_server_means_offline(start: Callable, equal: Callable, replies: bool):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if replies:
            server.listen(64)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        environment = {"WANDB_BASE_URL": url, "WANDB_API_KEY": "a" * 40}
        output = equal(start("logger=wandb", "logger.wandb.mode=online", **environment))
    assert ("cannot be reached" in output) or ("did not start (online)" in output)


@pytest.mark.soak
def test_the_delay_of_a_silent_server_is_bounded(tmp_path: Path):
    """The limit of a start, plus the time the client takes to give up and start again."""
    code = (
        "import socket, sys, time; from pathlib import Path\n"
        "from loomlab.logger.wandb import Wandb, finish\n"
        "import loomlab.logger.wandb_run, wandb\n"
        "begin = time.monotonic()\n"
        "logger = Wandb(mode='online').build(run_dir=Path('.'), name='x', config={})\n"
        "print(logger.broken, time.monotonic() - begin); finish(0)\n"
    )
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "WANDB_BASE_URL": url, "WANDB_API_KEY": "a" * 40},
        )  # fmt: skip
    broken, seconds = done.stdout.split()
    assert broken == "False", done.stderr
    assert float(seconds) < 20
    assert list((tmp_path / "wandb").glob("offline-run-*"))


@pytest.mark.soak
def test_its_folder_is_full_from_the_start(start: Callable, equal: Callable, tmp_path: Path):
    with small_disk(tmp_path / "run" / "wandb", "64k") as disk:
        fill(disk)
        output = equal(start("logger=wandb", "logger.wandb.mode=offline"))
    assert "training goes on without W&B" in output


@pytest.mark.soak
def test_its_folder_fills_up(start: Callable, equal: Callable, tmp_path: Path):
    with small_disk(tmp_path / "run" / "wandb", "2m") as disk:
        process = start("logger=wandb", "logger.wandb.mode=offline", stop_at=MIDDLE)
        process.stands_still()
        fill(disk)
        process.go_on()
        equal(process)


def awaited(find: Callable[[], Any]) -> Any:
    """What is there once it is: the client starts beside the training, as slowly as it likes."""
    end = time.monotonic() + PATIENCE
    while not (found := find()):
        assert time.monotonic() < end, f"not there after {PATIENCE:g} s"
        time.sleep(0.05)
    return found


def services(of: int) -> list[int]:
    """The client's own processes below a process."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return [int(r[0]) for r in rows if int(r[1]) == of and "wandb-core" in r[2]]


@pytest.mark.soak
def test_its_process_is_killed(start: Callable, equal: Callable):
    process = start("logger=wandb", "logger.wandb.mode=offline", stop_at=MIDDLE)
    process.stands_still()
    for service in awaited(lambda: services(process.pid)):
        os.kill(service, 9)
    process.go_on()
    assert "W&B" in equal(process)


# -- with a server that records what arrives


def by_step(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The numbers that arrived, as rows of metrics.csv."""
    rows: dict[int, dict[str, float]] = {}
    for line in history:
        told = {k: v for k, v in line.items() if k[0] != "_" and isinstance(v, int | float)}
        step = told.pop("trainer/global_step")
        rows.setdefault(step, {}).update(told | {"step": step})
    return [rows[step] for step in sorted(rows)]


def sync(folder: Path, server: Any) -> None:
    """Send what lies on the disk, as a user does."""
    kept = sorted(map(str, (folder / "wandb").glob("*run-*-*")))
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", "--no-skip-online", *kept], cwd=folder,
        capture_output=True, text=True,
        env={**os.environ, **server.environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_offline_and_then_synced(start: Callable, equal: Callable, wandb_server: Any, tmp_path):
    equal(start("logger=wandb", "logger.wandb.mode=offline"))
    assert wandb_server.runs == {}
    sync(tmp_path / "run", wandb_server)
    run = wandb_server.run()
    assert by_step(run.history) == read_metrics(tmp_path / "run" / "metrics.csv")
    assert run.config["choice.model"] == "gpt"
    assert run.exit_codes == [0]
    (corpus,), (model,) = (wandb_server.committed(kind) for kind in ("corpus", "model"))
    assert (corpus.used_by, model.logged_by) == ([run.id], run.id)


@pytest.mark.parametrize("mode", fast_slow_soak(["online", "offline"], slow=["online"]))
def test_interrupted_and_resumed_it_is_one_run(
    start: Callable, equal: Callable, wandb_server: Any, tmp_path: Path, mode: str
):
    environment = {**wandb_server.environment, "WANDB_MODE": mode}
    process = start("logger=wandb", stop_at=MIDDLE, **environment)
    process.stands_still()
    kept = tmp_path / "run" / "wandb"
    awaited(lambda: wandb_server.runs if mode == "online" else list(kept.glob("offline-run-*")))
    process.terminate()
    process.go_on()
    assert process.wait(PATIENCE) == 143
    half = len(read_metrics(tmp_path / "run" / "metrics.csv"))
    equal(start("logger=wandb", f"resume={tmp_path / 'run'}", **environment))
    if mode == "offline":
        assert len(list((tmp_path / "run" / "wandb").glob("offline-run-*"))) == 2
        sync(tmp_path / "run", wandb_server)
    run = wandb_server.run()
    assert by_step(run.history) == read_metrics(tmp_path / "run" / "metrics.csv")
    steps = [line["trainer/global_step"] for line in run.history]
    assert steps == sorted(steps)
    assert 0 < half < steps[-1] == STEPS
    assert [line["_step"] for line in run.history] == list(range(len(steps))), "nothing twice"
    assert run.exit_codes == [143, 0]


def test_the_server_goes_away(start: Callable, equal: Callable, wandb_server: Any, tmp_path: Path):
    """Training ends well; what did not arrive is on the disk, and can be sent."""
    process = start(
        "logger=wandb", "logger.wandb.finish_within=3", "probe=[samples]",
        "probe.samples.length=4", "trainer.val_every_n_steps=20", stop_at=MIDDLE,
        **wandb_server.environment,
    )  # fmt: skip
    process.stands_still()
    awaited(lambda: wandb_server.runs)
    wandb_server.stop()
    process.go_on()
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "no tables, pictures or artifacts are sent" in output
    assert "the upload is not complete" in output
    assert output.count("W&B") == 2, output
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert len(by_step(wandb_server.run().history)) < len(rows) == STEPS
    wandb_server.start()
    sync(tmp_path / "run", wandb_server)
    assert by_step(wandb_server.run().history) == rows


@pytest.mark.soak
def test_the_server_falls_silent(start: Callable, wandb_server: Any, tmp_path: Path):
    """It takes connections and never replies: one table waits for it, and the next do not."""
    process = start(
        "logger=wandb", "logger.wandb.finish_within=1", "probe=[samples]",
        "probe.samples.length=4", "trainer.val_every_n_steps=10", stop_at=MIDDLE,
        **{**wandb_server.environment, "WANDB_HTTP_TIMEOUT": "6"},
    )  # fmt: skip
    process.stands_still()
    awaited(lambda: wandb_server.runs)
    wandb_server.stop()
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind(("127.0.0.1", wandb_server.port))
        silent.listen(128)
        process.go_on()
        output, _ = process.communicate()
    wandb_server.start()
    assert process.returncode == 0, output
    assert output.count("no tables, pictures or artifacts are sent") == 1, output
    assert RunFolder(tmp_path / "run").summary()["status"] == "finished"


def test_each_job_of_a_sweep_is_a_run_in_its_group(
    tiny: Callable[..., list[str]], wandb_server: Any, tmp_path: Path
):
    overrides = [o for o in tiny(*DROPOUT) if not o.startswith("paths.output_dir")]
    sweep = ["seed=1,2", "launch.n_parallel=2", f"paths.sweep_dir={tmp_path / 'seeds'}"]
    command = ["train", "-m", *overrides, "logger=wandb", *sweep]
    done = run_loom(command, tmp_path, **wandb_server.environment)
    assert done.returncode == 0, done.stderr
    runs = list(wandb_server.runs.values())
    assert [run.fields["groupName"] for run in runs] == ["seeds", "seeds"]
    for run in runs:
        folder = tmp_path / "seeds" / run.fields["displayName"]
        assert by_step(run.history) == read_metrics(folder / "metrics.csv")
        assert run.config["seed"] == RunFolder(folder).config().seed
        assert run.exit_codes == [0]
    assert {run.config["seed"] for run in runs} == {1, 2}
