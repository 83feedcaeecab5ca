"""What is made of Slurm's answers, and of none; scripts in place of its commands."""

import os
from pathlib import Path

import pytest

from loomlab.launch.slurm import PATIENCE_SECONDS, Slurm
from loomlab.launch.slurm_queue import Queue, State, outside_of_a_job


class Commands:
    """`squeue` and `sacct` that print what they are told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("squeue", "sacct", "srun"):
            script = folder / name
            script.write_text(f'#!/bin/sh\necho "$@" > {folder}/{name}.asked\n'
                              f"cat {folder}/{name}.says\n")  # fmt: skip
            script.chmod(0o755)

    def say(self, name: str, *lines: str | None) -> None:
        says = self.folder / f"{name}.says"
        says.unlink(missing_ok=True)
        if lines != (None,):
            says.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return Commands(folder)


def test_states_and_exit_codes(commands: Commands):
    commands.say(
        "squeue", "7_0   RUNNING   0", "7_1   FAILED  35072", "7_2   OUT_OF_MEMORY  0:9",
        "7_3   CANCELLED   0", "8  COMPLETED 0", "9  FAILED 3:0", "10  TIMEOUT  4294967294",
    )  # fmt: skip
    queue = Queue("loom-x", 0)
    queue.refresh()
    assert queue.states == {
        "7_0": State("RUNNING", 0), "7_1": State("FAILED", 137),
        "7_2": State("OUT_OF_MEMORY", -9), "7_3": State("CANCELLED", -15),
        "8": State("COMPLETED", 0), "9": State("FAILED", 3), "10": State("TIMEOUT", None),
    }  # fmt: skip
    assert [i for i, state in queue.states.items() if state.live] == ["7_0"]
    assert "--name=loom-x" in (commands.folder / "squeue.asked").read_text()


def test_no_answer_is_not_the_end_of_a_job(commands: Commands):
    queue = Queue("loom-x", 0)
    commands.say("squeue", None)
    queue.refresh()
    assert queue.asked == 0
    commands.say("squeue", "7  RUNNING  0", "8  FAILED  256")
    queue.refresh()
    asked = queue.asked
    commands.say("squeue", None)
    queue.refresh()
    assert (queue.asked, queue.states["7"].live) == (asked, True)
    commands.say("squeue")
    queue.refresh()
    assert queue.states == {"8": State("FAILED", 1)}, "what was heard of one that is over stays"


def test_an_answer_is_good_for_a_while(commands: Commands):
    queue = Queue("loom-x", 3600)
    commands.say("squeue", "7  RUNNING  0")
    queue.refresh()
    commands.say("squeue")
    queue.refresh()
    assert "7" in queue.states
    queue.refresh(seconds=0)
    assert queue.states == {}


def test_a_job_that_slurm_forgot(commands: Commands, tmp_path: Path):
    """Its result may be late on a shared file system; then accounting is asked, if there is."""
    launch = Slurm()
    launch.open(tmp_path)
    launch.queue.seconds = 0
    commands.say("squeue", "7_0  RUNNING  0")
    assert launch.adopt("a", "7_0")
    assert launch.poll() == []
    commands.say("squeue")
    assert launch.poll() == []
    launch.noticed = {key: at - PATIENCE_SECONDS for key, at in launch.noticed.items()}
    commands.say("sacct", "CANCELLED by 1000|0:15")
    (end,) = launch.poll()
    assert (end.exit_code, end.message) == (-15, "Slurm says CANCELLED: it left no result")
    assert launch.alive("7_0") is False


def test_without_accounting_the_wait_is_bounded_all_the_same(commands: Commands, tmp_path: Path):
    launch = Slurm()
    launch.open(tmp_path)
    launch.queue.seconds = 0
    commands.say("squeue", "7  RUNNING  0")
    assert launch.adopt("a", "7")
    commands.say("squeue")
    commands.say("sacct", None)
    assert launch.poll() == []
    launch.noticed = {"a": launch.noticed["a"] - PATIENCE_SECONDS}
    (end,) = launch.poll()
    assert end.exit_code is None
    assert end.message == "Slurm no longer knows it, and it left no result"


def test_a_sweep_inside_a_job_hands_nothing_of_that_job_on(monkeypatch: pytest.MonkeyPatch):
    mine = {"SLURM_JOB_ID": "1", "SLURM_ARRAY_JOB_ID": "1", "SLURM_CONF": "/etc/slurm.conf"}
    for name, value in mine.items():
        monkeypatch.setenv(name, value)
    with outside_of_a_job():
        assert {k: v for k, v in os.environ.items() if k in mine} == {
            "SLURM_CONF": "/etc/slurm.conf"
        }
    assert {k: os.environ[k] for k in mine} == mine
