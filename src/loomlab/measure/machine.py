"""What was measured of this machine, kept: a choice by timing must be made once only."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from loomlab.text.cache import default_cache_dir

FOLDER = "machine"
Value = TypeVar("Value", str, float)


def measured_once(name: str, threads: int, version: str, measure: Callable[[], Value]) -> Value:
    """The value of an earlier process of this machine, else that of `measure`, which is kept.

    Two runs with the same settings then use the same kernels and give the same numbers, also when
    one of them found the processor busy. It is measured anew for another processor, number of
    threads or `version` of torch; deleting the folder `machine` of the cache does so by hand.
    """
    key = {"name": name, "processor": processor(), "threads": threads, "version": version}
    folder = default_cache_dir() / FOLDER
    path = folder / f"{name}-{threads}.json"
    known = _read(path)
    if known.get("key") == key:
        kept: Value = known["value"]
        return kept
    value = measure()
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    with contextlib.suppress(OSError):  # a cache that cannot be written: measured again next time
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"key": key, "value": value}), encoding="utf-8")
        try:
            if path.exists() and _read(path).get("key") != key:
                partial.replace(path)  # of other settings, or damaged
            else:
                os.link(partial, path)  # of several at once the first one counts
        finally:
            partial.unlink(missing_ok=True)
    known = _read(path)
    first: Value = known["value"] if known.get("key") == key else value
    return first


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def process_state(pid: int) -> str:
    """The kernel's letter for what a process of this machine does; empty if there is none."""
    return "".join(_stat(pid)[:1])


def process_start(pid: int) -> float | None:
    """When a process of this machine started, in the kernel's ticks; None if it is gone."""
    fields = _stat(pid)
    return None if not fields or fields[0] == "Z" else float(fields[19])


def process_parent(pid: int) -> int | None:
    """The parent of a process of this machine."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
