"""What is measured of a machine stays the same for all its runs."""

import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loomlab.measure import machine
from loomlab.measure.machine import (
    measured_once,
    process_parent,
    process_start,
    process_state,
    processor,
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOOM_CACHE", str(tmp_path / "not" / "yet"))
    return tmp_path / "not" / "yet" / "machine"


def kept(name: str, value: float, threads: int = 2, version: str = "1") -> float:
    return measured_once(name, threads, version, lambda: value)


def test_the_first_measurement_stays():
    assert [kept("speed", v) for v in (2.5, 1.0)] == [2.5, 2.5]
    assert kept("other", 1.0) == 1.0
    assert measured_once("other", 2, "1", lambda: pytest.fail("measured again")) == 1.0


def test_it_is_taken_anew_where_it_may_differ(monkeypatch: pytest.MonkeyPatch):
    kept("speed", 2.5)
    assert kept("speed", 3.0, threads=4) == 3.0
    assert kept("speed", 2.0, version="2") == 2.0
    assert kept("speed", 9.0, version="2") == 2.0
    monkeypatch.setattr(machine, "processor", lambda: "another")
    assert kept("speed", 7.0, version="2") == 7.0


@pytest.mark.parametrize("damage", ["{half", "[1]"])
def test_damage_is_mended(cache: Path, damage: str):
    kept("speed", 2.5)
    (cache / "speed-2.json").write_text(damage)
    assert kept("speed", 3.0) == 3.0


def test_who_is_overtaken_takes_the_value_of_the_first():
    assert measured_once("speed", 2, "1", lambda: kept("speed", 2.5) + 1) == 2.5


def test_of_many_at_once_one_counts(cache: Path):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda v: kept("speed", float(v)), range(8)))
    last = json.loads((cache / "speed-2.json").read_text())["value"]
    assert kept("speed", -1.0) == last
    assert found == {last}
    assert list(cache.glob(".*")) == []


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOOM_CACHE", str(tmp_path / "file"))
    assert [kept("speed", v) for v in (2.5, 1.0)] == [2.5, 1.0]


def test_the_processor_has_a_name():
    assert processor()
    known = Path("/proc/cpuinfo")
    if known.exists() and "model name" in (text := known.read_text()):
        assert f"model name\t: {processor()}\n" in text
    else:
        assert processor() in (platform.processor(), platform.machine())


def test_processes_are_told_apart():
    code = "import sys; print(end='x', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", code], **pipes) as process:
        process.stdout.read(1)
        started = process_start(process.pid)
        assert 0 < process_start(os.getpid()) <= started == process_start(process.pid)
        assert process_parent(process.pid) == os.getpid()
        assert process_state(process.pid) in "RS"
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert (process_state(process.pid), process_start(process.pid)) == ("Z", None)
    assert (process_state(process.pid), process_start(process.pid)) == ("", None)
    assert process_parent(process.pid) is None
