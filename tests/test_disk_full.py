"""A disk that fills up during a run: no half file has a final name, and the run goes on later."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.marks import fast_slow_soak
from tests.small_disk import small_disk
from tests.warm import WarmProcess

from loomlab.callbacks.store import CheckpointStore
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

MODEL = ["model.layers=2", "model.width=128", "model.heads=2"]
RUN = [*MODEL, "budget.steps=60", "callbacks=[checkpoint]", "runtime=plain"]
EVERY = ["callbacks.checkpoint.every_n_train_steps=10", "trainer.val_every_n_steps=30"]
BETWEEN = 26  # a step after two checkpoints and before the first best one, which takes more space
STEP = 1 << 12


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 64 MB, which the temporary files of other programs are not on."""
    with small_disk(tmp_path_factory.mktemp("disk"), "64m") as disk:
        yield disk


@pytest.fixture
def start(warm: Callable[..., WarmProcess], disk: Path, tmp_path: Path):
    """Start `loom train` with its output on the small disk."""

    def run(*overrides: str, stop_at: int | None = None) -> WarmProcess:
        return warm(["train", *overrides], tmp_path, together=True, stop_at=stop_at)

    return run


def fill(disk: Path, leave: int) -> Path:
    """Take all space but `leave` bytes."""
    path = disk / "fill"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
    with path.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, max(free - leave, STEP))
    return path


@pytest.mark.parametrize(
    "share",
    fast_slow_soak([0.0, 0.01, 0.05, 0.3, 0.5, 0.8, 0.95, 0.99, 1.02, 1.9], slow=[0.0, 0.5, 1.9]),
)
def test_a_disk_that_fills_up(
    start, tiny: Callable[..., list[str]], disk: Path, tmp_path: Path, share: float
):
    """`share` of a checkpoint's size is left when the disk is filled, between two saves.

    So that saving is cut off at ten offsets: before, within and just after the first file.
    """
    folder = RunFolder(disk / f"run-{share}")
    given = tiny(*RUN, *EVERY, f"paths.output_dir={folder.path}")
    process = start(*given, stop_at=BETWEEN)
    process.stands_still()
    size = (folder.checkpoints / "previous.ckpt").stat().st_size
    filler = fill(disk, int(size * share))
    process.go_on()
    output, _ = process.communicate()
    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert "is full: free some space, then go on with `loom train resume=" in output
    store = CheckpointStore(folder.checkpoints)
    for name in ("last.ckpt", "previous.ckpt"):
        assert store.step_of(name) is not None, f"{name} is whole"
        assert "state_dict" in torch.load(folder.checkpoints / name, weights_only=True)
    assert not list(folder.checkpoints.glob(".*"))
    assert not folder.model.exists()
    read_metrics(folder.metrics)
    filler.unlink()
    again = start("resume=" + str(folder.path))
    output, _ = again.communicate()
    assert again.returncode == 0, output
    assert folder.summary()["status"] == "finished"
    steps = [row["step"] for row in read_metrics(folder.metrics) if "train/loss" in row]
    assert steps == sorted(set(steps))
    assert steps[-1] == 60
    subprocess.run(["rm", "-r", str(folder.path)], check=True)


def test_too_little_space_is_refused_before_training(
    start, tiny: Callable[..., list[str]], disk: Path
):
    filler = fill(disk, 2_000_000)
    process = start(*tiny(*RUN, f"paths.output_dir={disk / 'small'}"))
    output, _ = process.communicate()
    filler.unlink()
    assert process.returncode == 2, output
    assert "MB are free, the checkpoints and the model need at least" in output
    assert not (disk / "small").exists()


def test_no_space_at_all_is_refused_before_any_work(
    start, tiny: Callable[..., list[str]], disk: Path
):
    filler = fill(disk, 0)
    process = start(*tiny(*RUN, f"paths.output_dir={disk / 'none'}"))
    output, _ = process.communicate()
    filler.unlink()
    assert process.returncode == 2, output
    assert "cannot be written" in output
    assert "No space left" in output
    assert not (disk / "none").exists()
