"""Runs in the real Trackio: what was fed is what was measured, and a page is served."""

import importlib.util
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from loomlab.errors import InputError
from loomlab.report import trackio_view
from loomlab.report.thinning import read_columns
from loomlab.run.folder import RunFolder

HERE = importlib.util.find_spec("trackio") is not None
needs_trackio = pytest.mark.skipif(not HERE, reason="needs the package trackio")


def test_rows_and_settings_of_a_run(make_sweep: Callable[..., Path], tmp_path: Path):
    folder = make_sweep(tmp_path / "sweep", done=1, rows=30)
    run = RunFolder(folder / "000_optimizer-adamw_seed-1")
    rows = trackio_view.rows(read_columns(run.metrics))
    assert [step for step, _ in rows] == [10 * i for i in range(1, 31)]
    assert "val/loss" not in rows[0][1], "what was not measured is not fed"
    assert rows[24][1]["val/loss"] > 1
    assert trackio_view.settings(run)["optimizer.lr"] == 0.0001


def test_refused_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'loomlab\[trackio\]'"):
        trackio_view.feed(tmp_path)


@needs_trackio
def test_refused_without_runs(tmp_path: Path):
    with pytest.raises(InputError, match="has metrics to show"):
        trackio_view.feed(tmp_path)


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@needs_trackio
def test_feeds_and_serves_the_runs(make_sweep: Callable[..., Path], tmp_path: Path):
    folder = make_sweep(tmp_path / "my sweep", done=3, running=1, pending=1, rows=30)
    port = a_port()
    environment = {
        **os.environ, "GRADIO_SERVER_PORT": str(port), "BROWSER": "true",
        "TRACKIO_SERVER_URL": "http://127.0.0.1:9", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    verb = [sys.executable, "-m", "loomlab", "dash", str(folder), "--view", "trackio"]
    server = subprocess.Popen(verb, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        assert "project my-sweep" in server.stdout.readline()
        page = _fetch(f"http://127.0.0.1:{port}/", server)
        assert b"<html" in page.lower()
    finally:
        server.terminate()
        server.wait(30)
    (database,) = (folder / "trackio").glob("*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select run_name, count(*) from metrics group by 1").fetchall()
    assert dict(rows) == {f"00{i}_optimizer-{o}_seed-1": 30
                          for i, o in enumerate(("adamw", "sgd", "lion", "muon"))}  # fmt: skip


def _fetch(url: str, server: "subprocess.Popen[str]") -> bytes:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return bytes(urllib.request.urlopen(url, timeout=10).read())
        except OSError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)
