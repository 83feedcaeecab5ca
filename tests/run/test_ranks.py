"""A collective that fails is explained by what the other process says, or by its absence."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.errors import InputError
from loomlab.parallelism import roll_call
from loomlab.parallelism.ddp import DDP
from loomlab.parallelism.roll_call import Entry, enroll, read, write
from loomlab.parallelism.single import Single
from loomlab.run.folder import RunFolder
from loomlab.run.pruning import Pruned
from loomlab.run.ranks import (
    FIND_SECONDS,
    Presence,
    RankFailed,
    among_ranks,
    of_a_collective,
)

GLOO = RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path)
    run.write_summary({"status": "running"})
    return run


def train(folder: RunFolder, work: Callable[[list], None]) -> None:
    """Some work of a run of two processes, in this one."""
    with among_ranks(DDP(), folder) as callbacks:
        work(callbacks)


def divide(_: list) -> None:
    raise ZeroDivisionError("division by zero")


def test_a_single_process_is_not_watched(folder: RunFolder):
    with among_ranks(Single(), folder) as callbacks:
        assert callbacks == []
    assert not (folder.path / roll_call.FOLDER).exists()


def test_why_another_process_failed(folder: RunFolder):
    said = "rank 1 failed: ValueError: no such word"

    def work(callbacks: list) -> None:
        assert isinstance(callbacks[0], Presence)
        write(folder.path, Entry(1, "elsewhere", 1, 1.0, error=said))
        raise GLOO

    with pytest.raises(RankFailed, match=f"^{said}$"):
        train(folder, work)


def test_an_error_of_its_own_stays_what_it_is_and_is_told(folder: RunFolder):
    folder.checkpoints.mkdir()
    (folder.checkpoints / ".last.ckpt.partial").write_bytes(b"half")
    with pytest.raises(ZeroDivisionError):
        train(folder, divide)
    entry = read(folder.path, 0)
    assert entry is not None
    assert entry.error == "rank 0 failed: ZeroDivisionError: division by zero"
    assert not list(folder.checkpoints.iterdir())


@pytest.mark.parametrize("end", [Pruned(3, {}), InputError("give another"), KeyboardInterrupt()])
def test_an_end_that_is_no_failure_leaves_nothing(folder: RunFolder, end: BaseException):
    def work(callbacks: list) -> None:
        raise end

    with pytest.raises(type(end)):
        train(folder, work)
    assert not (folder.path / roll_call.FOLDER).exists()


def test_further_processes_end_with_the_first(folder: RunFolder):
    process = subprocess.Popen(["sleep", "60"])

    def work(callbacks: list) -> None:
        enroll(folder.path, 1, process.pid)
        divide(callbacks)

    with pytest.raises(ZeroDivisionError):
        train(folder, work)
    assert process.wait(20) == -signal.SIGKILL


def test_a_further_process_speaks_for_a_first_one_that_is_gone(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    process = subprocess.Popen(["sleep", "60"])
    (folder.path / roll_call.FOLDER).mkdir()
    enroll(folder.path, 0, process.pid)
    monkeypatch.setenv("LOCAL_RANK", "1")

    def work(callbacks: list) -> None:
        process.kill()
        process.wait()
        raise GLOO

    with pytest.raises(RankFailed):
        train(folder, work)
    assert folder.summary()["status"] == "failed"
    assert f"rank 0 (process {process.pid})" in folder.summary()["error"]


def test_what_says_that_processes_have_lost_each_other():
    assert of_a_collective(GLOO)
    assert not of_a_collective(RuntimeError("the loss is nan"))
    assert not of_a_collective(ValueError("Connection"))


def test_a_killed_process_ends_a_run_within_15_seconds():
    """Whether a collective fails, or the others wait where no exception reaches them."""
    asked_again = roll_call.PATIENCE_SECONDS + 2 * roll_call.BEAT_SECONDS
    assert max(FIND_SECONDS, asked_again) < 15
