"""`loom dash [DIR]`, with programs of the tests' own in the place of a browser."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from loomlab.entry.dash import run
from loomlab.report.served import PageServer
from loomlab.run.ledger import DONE, Job, Ledger


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs" / "day" / "a sweep"
    Ledger(folder).add([Job("k", 0, "000_a", [], {"seed": "1"}, state=DONE)])
    return folder


def dash(folder: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("BROWSER", "DISPLAY")}
    return subprocess.run(
        [sys.executable, "-m", "loomlab", "dash", *map(str, arguments)], cwd=folder,
        capture_output=True, text=True, env={**kept, **environment}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def stand_in(tmp_path: Path) -> Path:
    """A browser that writes down what it was asked to open."""
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" >> "{tmp_path / "asked"}"\n')
    script.chmod(0o755)
    return script


def test_opens_the_report_of_the_newest_sweep(tmp_path: Path, sweep: Path):
    old = tmp_path / "outputs" / "old"
    Ledger(old)
    os.utime(old / "ledger.sqlite", (1, 1))
    command = [sys.executable, "-m", "loomlab", "dash"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "BROWSER": str(stand_in(tmp_path))})  # fmt: skip
    try:
        assert process.stdout
        said = process.stdout.readline() + process.stdout.readline()
        asked, deadline = tmp_path / "asked", time.monotonic() + PATIENCE
        while not (asked.exists() and asked.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        url = asked.read_text().strip()
        assert url.startswith("http://127.0.0.1:")
        assert url in said
        assert str(sweep / "report.html") in said
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            assert b"Sweep a sweep" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()


def test_without_a_browser_it_names_the_address(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    served: list[str] = []

    def until_ctrl_c(server: PageServer) -> None:
        served.append(server.url)
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", until_ctrl_c)
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert run([str(sweep)]) == 0
    said = capsys.readouterr().out
    assert f"no browser was found here; open this in one: {served[0]}" in said
    assert str(sweep / "report.html") in said


def test_refusals_say_what_to_do(ended: Callable[..., tuple[int, str]], tmp_path: Path):
    code, said = ended("dash", tmp_path / "nowhere")
    assert (code, "there is no folder" in said) == (2, True)
    code, said = ended("dash", tmp_path)
    assert (code, "is no sweep" in said) == (2, True)
    code, said = ended("dash", tmp_path, "--view", "leet")
    assert (code, "logger=wandb" in said) == (2, True)
    code, said = ended("dash", tmp_path, "--view", "screen")
    assert (code, "invalid choice" in said) == (2, True)


def test_no_sweep_to_be_found(tmp_path: Path):
    done = dash(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("loom dash: there is no sweep in outputs/")
