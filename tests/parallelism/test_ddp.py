"""Two processes train what one would, leave nothing behind, and do not outlive each other."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed
from safetensors.torch import load_file
from tests.patience import wait_until
from tests.warm import WarmProcess

from loomlab.callbacks.store import CheckpointStore
from loomlab.parallelism.communication import HalfGradients, LowRankGradients
from loomlab.parallelism.ddp import DDP
from loomlab.parallelism.meeting import DISTRIBUTED_VARIABLES
from loomlab.parallelism.roll_call import FOLDER
from loomlab.run.folder import RunFolder, find_runs
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
Same = Callable[[RunFolder, RunFolder], None]
Start = Callable[..., WarmProcess]
Tiny = Callable[..., list[str]]
SMALL = ["model.layers=2", "model.width=16", "model.heads=2", "runtime=plain"]
PAIR = ["parallelism=ddp", "parallelism.devices=2"]
WHOLE = ["budget.steps=4", "trainer.val_every_n_steps=2", "trainer.limit_val_batches=null"]
KINDS = {
    "clm": ["position=rope"],
    "mlm": ["model=bert", "objective=mlm", "objective.whole_word=true",
            "trainer.accumulate_grad_batches=2", "callbacks=[checkpoint]"],
}  # fmt: skip
ENDLESS = ["budget.steps=1000000", "trainer.val_every_n_steps=500000", "callbacks=[checkpoint]",
           "callbacks.checkpoint.every_n_train_steps=1"]  # fmt: skip


def workers(run_dir: Path) -> list[int]:
    """Process ids of the further processes of a run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if b"loomlab.run" in command and str(run_dir).encode() in command:
            found.append(int(path.parent.name))
    return found


@pytest.fixture
def start(warm: Callable[..., WarmProcess], tmp_path: Path) -> Start:
    """`loom train` as a process group of its own, which is killed when the test ends."""
    return lambda *overrides, ranks=1, stop_at=None: warm(
        ["train", *overrides], tmp_path, ranks=ranks, stop_at=stop_at
    )


@pytest.mark.slow
def test_a_process_of_its_own_equals_none(train: Train, same: Same):
    """Started as a user's are: by a new Python, which imports everything."""
    assert_two_equal_one(train, same, "clm")


@pytest.mark.usefixtures("warm_ranks")
def test_two_processes_equal_one(train: Train, same: Same):
    assert_two_equal_one(train, same, "mlm")


def assert_two_equal_one(train: Train, same: Same, kind: str) -> None:
    alone = train(*SMALL, *WHOLE, *KINDS[kind], folder="alone")
    pair = train(*SMALL, *WHOLE, *KINDS[kind], *PAIR, folder="pair")
    assert len(read_metrics(pair.metrics)) == 4
    same(alone, pair)
    assert_nothing_left(pair.path)


def assert_nothing_left(run_dir: Path) -> None:
    """The group, its variables and its processes are gone."""
    assert not torch.distributed.is_initialized()
    assert not [name for name in DISTRIBUTED_VARIABLES if name in os.environ]
    wait_until(lambda: not workers(run_dir))


def test_devices_are_processes():
    assert DDP(devices=3).devices == 3
    assert DDP().devices == 2
    assert DDP(devices=3, num_nodes=2).world_size == 6
    assert (DDP().timeout, DDP(timeout=10).timeout) == (300, 10)
    assert isinstance(DDP(communication="fp16").gradients, HalfGradients)
    assert isinstance(DDP(communication="power_sgd").gradients, LowRankGradients)


@pytest.mark.soak
def test_two_jobs_of_a_sweep(start: Start, tiny: Tiny, tmp_path: Path):
    given = [o for o in tiny(*SMALL, *PAIR) if "output_dir" not in o]
    swept = f"paths.sweep_dir={tmp_path / 'swept'}"
    process = start("-m", *given, swept, "seed=1,2", ranks=2)  # one for each job
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    runs = find_runs(tmp_path / "swept")
    assert [run.summary()["status"] for run in runs] == ["finished"] * 2
    assert [[row["step"] for row in read_metrics(run.metrics)] for run in runs] == [[1, 2]] * 2
    losses = [run.summary()["final"]["val/loss"] for run in runs]
    assert losses[0] != losses[1]
    for run in runs:
        wait_until(lambda path=run.path: not workers(path))


def started(start: Start, tiny: Tiny, folder: RunFolder, *more: str) -> tuple:
    """A run of two processes in the middle of its steps, and its further process."""
    process = start(*tiny(*SMALL, *PAIR, *ENDLESS, *more))
    wait_until(lambda: folder.metrics.is_file() and len(read_metrics(folder.metrics)) > 2)
    (worker,) = workers(folder.path)
    return process, worker


def assert_failed_whole(folder: RunFolder) -> None:
    """It says so, its last state is sound, and nothing is there by half."""
    assert folder.summary()["status"] == "failed"
    assert CheckpointStore(folder.checkpoints).newest() is not None
    assert not folder.model.exists()
    assert not list(folder.path.rglob("*.ckpt.partial"))
    wait_until(lambda: not workers(folder.path))


def assert_stopped_at_one_step(folder: RunFolder) -> None:
    """The last state is of the last step that is on record, and no process is left."""
    assert folder.summary()["status"] == "interrupted"
    newest = CheckpointStore(folder.checkpoints).newest()
    assert newest is not None
    assert newest.step == read_metrics(folder.metrics)[-1]["step"]
    wait_until(lambda: not workers(folder.path))


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_by_name(start: Start, tiny: Tiny, tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    process, worker = started(start, tiny, folder)
    os.kill(worker, signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 1, errors
    said = f"rank 1 (process {worker}) was killed by SIGKILL"
    assert said in errors
    assert "Traceback" not in errors
    assert f"resume={folder.path}" in errors
    assert said in folder.summary()["error"]
    assert_failed_whole(folder)


@pytest.mark.slow
def test_a_killed_first_process_is_spoken_for(start: Start, tiny: Tiny, tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    process, _ = started(start, tiny, folder)
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: folder.summary()["status"] == "failed")
    assert f"rank 0 (process {process.pid}) is gone" in folder.summary()["error"]
    assert_failed_whole(folder)


@pytest.mark.soak
def test_a_run_killed_whole_goes_on_bit_for_bit(start: Start, tiny: Tiny, tmp_path: Path):
    given = [*SMALL, *PAIR, "budget.steps=12", "model.dropout=0.1", "callbacks=[checkpoint]",
             "callbacks.checkpoint.every_n_train_steps=1"]  # fmt: skip
    undisturbed, killed = (RunFolder(tmp_path / name) for name in ("undisturbed", "killed"))
    whole = start(*tiny(*given, folder="undisturbed"))
    _, errors = whole.communicate()
    assert whole.returncode == 0, errors
    process = start(*tiny(*given, folder="killed"), stop_at=7)
    process.stands_still()
    for pid in (*workers(killed.path), process.pid):
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not workers(killed.path))
    assert 0 < len(read_metrics(killed.metrics)) < 12
    resumed = start(f"resume={killed.path}")
    _, errors = resumed.communicate()
    assert resumed.returncode == 0, errors
    rows = [
        [{key: value for key, value in row.items() if key != "seconds"} for row in read]
        for read in (read_metrics(undisturbed.metrics), read_metrics(killed.metrics))
    ]
    assert rows[0] == rows[1]
    weights = [load_file(f.model / "model.safetensors") for f in (undisturbed, killed)]
    assert all(torch.equal(weights[1][key], value) for key, value in weights[0].items())


@pytest.mark.slow
def test_a_hung_worker_ends_the_run_by_name(start: Start, tiny: Tiny, tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    process, worker = started(start, tiny, folder, "parallelism.timeout=10")
    os.kill(worker, signal.SIGSTOP)
    _, errors = process.communicate()
    assert process.returncode == 1, errors
    assert f"rank 1 (process {worker} on" in errors
    assert "is stopped; it was waited for as long as parallelism.timeout=10" in errors
    assert_failed_whole(folder)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_stops_all_at_the_same_step(
    start: Start, tiny: Tiny, tmp_path: Path, rank: int
):
    """The first one alone is what `docker stop` and Slurm send it to."""
    folder = RunFolder(tmp_path / "run")
    process, worker = started(start, tiny, folder)
    os.kill([process.pid, worker][rank], signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 143, errors
    assert_stopped_at_one_step(folder)
    assert not (folder.path / FOLDER).exists()


@pytest.mark.slow
def test_signals_in_different_steps_stop_all_at_the_same_one(
    start: Start, tiny: Tiny, tmp_path: Path
):
    """As Ctrl-C reaches all processes of a terminal, each in a step of its own."""
    folder = RunFolder(tmp_path / "run")
    process, worker = started(start, tiny, folder)
    os.kill(process.pid, signal.SIGINT)
    before = len(read_metrics(folder.metrics))
    wait_until(lambda: process.poll() is not None or len(read_metrics(folder.metrics)) > before)
    with contextlib.suppress(ProcessLookupError):  # it has stopped already
        os.kill(worker, signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert_stopped_at_one_step(folder)


def assert_quit(process: WarmProcess, folder: RunFolder) -> None:
    """It has ended by SIGTERM, with its further process, and says so."""
    _, errors = process.communicate()
    assert process.returncode == 143, errors
    assert "Traceback" not in errors
    assert folder.summary()["status"] == "interrupted"
    wait_until(lambda: not workers(folder.path))


@pytest.mark.slow
def test_a_second_signal_ends_a_process_that_waits_for_one_that_hangs(
    start: Start, tiny: Tiny, tmp_path: Path
):
    folder = RunFolder(tmp_path / "run")
    process, worker = started(start, tiny, folder)
    os.kill(worker, signal.SIGSTOP)
    while process.poll() is None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(process.pid, signal.SIGTERM)
        time.sleep(1.0)  # signals that come closer are one
    assert_quit(process, folder)


@pytest.mark.slow
def test_a_signal_while_others_are_still_starting_ends_them(
    start: Start, tiny: Tiny, tmp_path: Path
):
    folder = RunFolder(tmp_path / "run")
    process = start(*tiny(*SMALL, *PAIR, *ENDLESS), ranks=0)  # it takes its time to import
    wait_until(lambda: bool(workers(folder.path)))
    os.kill(process.pid, signal.SIGTERM)
    assert_quit(process, folder)


@pytest.mark.soak
def test_seconds_end_all_processes_at_the_same_step(start: Start, tiny: Tiny, tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    timed = ["budget.steps=null", "budget.seconds=3", "trainer.val_every_n_steps=100000"]
    process = start(*tiny(*SMALL, *PAIR, *timed))
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert folder.summary()["status"] == "finished"
    assert 3 <= folder.summary()["training_seconds"] < 30
    wait_until(lambda: not workers(folder.path))
