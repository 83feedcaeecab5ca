"""Progress: a bar on a terminal, plain lines elsewhere."""

import contextlib
import logging
import os
import pty
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loomlab.run.folder import RunFolder

MODEL = ["model.layers=1", "model.width=16", "model.heads=2"]
RUN = [*MODEL, "callbacks=[progress]", "budget.steps=4", "trainer.val_every_n_steps=2"]
EVERY_STEP = "callbacks.progress.seconds_between_lines=0"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """A pseudo-terminal to put in place of standard error, and what was written to it."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.file = os.fdopen(slave, "w")
        self.chunks: list[bytes] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self.master, 65536)
            except OSError:  # how Linux says that the other end is closed
                return
            if not chunk:
                return
            self.chunks.append(chunk)

    def text(self) -> str:
        """Close the terminal; all that was written."""
        self.file.close()
        self.reader.join()  # both ends are closed: it ends
        os.close(self.master)
        return b"".join(self.chunks).decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    opened = Terminal()
    yield opened
    if not opened.file.closed:
        opened.text()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [r.getMessage() for r in caplog.records if r.name == "loomlab"]
    return [line for line in said if "everything is in" not in line]


def test_plain_lines_where_there_is_no_terminal(
    train: Callable[..., RunFolder],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    caplog.set_level(logging.INFO, "loomlab")
    train(*RUN, EVERY_STEP)
    steps = [line for line in lines(caplog) if line.startswith("step ") and "/4," in line]
    assert [line.partition(",")[0] for line in steps] == [f"step {n}/4" for n in (1, 2, 3, 4)]
    assert "loss" in steps[-1]
    held_out = [line for line in lines(caplog) if "bits per byte held out" in line]
    assert [line.partition(":")[0] for line in held_out] == ["step 2", "step 4"]
    assert "\x1b" not in capfd.readouterr().err


def test_lines_are_seconds_apart(
    train: Callable[..., RunFolder], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "loomlab")
    train(*RUN, "callbacks.progress.seconds_between_lines=1000")
    assert not any("/4," in line for line in lines(caplog))


def test_a_bar_on_a_terminal(
    train: Callable[..., RunFolder], terminal: Terminal, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "loomlab")
    with contextlib.redirect_stderr(terminal.file):
        train(*RUN, EVERY_STEP)
    assert not lines(caplog), "the bar says it all"
    text = terminal.text()
    assert "training" in text
    assert "4/4" in text
    assert "loss" in text
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR), "the bar was closed"


def test_the_bar_is_closed_when_training_fails(
    train: Callable[..., RunFolder], terminal: Terminal, tmp_path: Path
):
    blocked = tmp_path / "run" / "metrics.csv"
    blocked.mkdir(parents=True)  # the first row cannot be written
    with pytest.raises(IsADirectoryError), contextlib.redirect_stderr(terminal.file):
        train(*RUN)
    text = terminal.text()
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
