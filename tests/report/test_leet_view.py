"""Runs in a terminal by the real `wandb leet`, in a terminal of the test's own."""

import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pytest
from tests.patience import PATIENCE, readable

from loomlab.errors import InputError
from loomlab.report.leet_view import gather, show_leet, wandb_folders


def a_run(folder: Path, name: str) -> str:
    """A run folder with an offline W&B run of the real client; the run's id."""
    import wandb

    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("seed: 1\n")
    quiet = wandb.Settings(silent=True, console="off")
    with wandb.init(project="p", dir=folder, name=name, mode="offline", settings=quiet) as run:
        for step in range(5):
            run.log({"loss": 1 / (step + 1)})
        return str(run.id)


def test_finds_what_the_client_recorded_and_links_it_side_by_side(tmp_path: Path):
    for place in ("a/wandb/offline-run-1-x", "b/wandb/run-2-y", "b/wandb/run-3-empty"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place.split("/")[0] / "config.yaml").touch()
    (tmp_path / "a/wandb/offline-run-1-x/run-x.wandb").touch()
    (tmp_path / "b/wandb/run-2-y/run-y.wandb").touch()
    found = wandb_folders(tmp_path)
    assert [path.name for path in found] == ["offline-run-1-x", "run-2-y"]
    gather(found, tmp_path / "view")
    assert (tmp_path / "view/run-2-y/run-y.wandb").is_file()


def test_refused_without_runs_and_without_a_terminal(tmp_path: Path):
    with pytest.raises(InputError, match="logger=wandb"):
        show_leet(tmp_path)
    (tmp_path / "wandb/run-1-x").mkdir(parents=True)
    (tmp_path / "wandb/run-1-x/run-x.wandb").touch()
    (tmp_path / "config.yaml").touch()
    with pytest.raises(InputError, match="needs a terminal"):
        show_leet(tmp_path)


def test_the_runs_of_a_sweep_are_on_the_screen(tmp_path: Path):
    ids = [a_run(tmp_path / f"00{number}_job", f"job-{number}") for number in range(2)]
    wanted = ["job-", "loss", *(f"-{one[:3]}" for one in ids)]  # it cuts long names of folders
    pid, screen = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        verb = ["-m", "loomlab", "dash", str(tmp_path), "--view", "leet"]
        os.execv(sys.executable, [sys.executable, *verb])
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    seen, deadline, left = "", time.monotonic() + PATIENCE, False
    while time.monotonic() < deadline:
        if readable(screen, 0.3):
            try:
                seen += os.read(screen, 65536).decode(errors="replace")
            except OSError:  # it has left
                break
        if not left and all(word in seen for word in wanted):
            left = True
            os.write(screen, b"q")
    if not left:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert left, f"not all of {wanted} were on the screen: {seen[-2000:]}"
    assert code == 0
