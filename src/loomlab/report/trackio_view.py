"""Runs in Trackio, a local dashboard: their metrics are fed into a project of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from loomlab.errors import InputError
from loomlab.report.row import read_config
from loomlab.report.thinning import Columns, logged, read_columns
from loomlab.run.folder import RunFolder, find_runs

STORE = "trackio"  # below the folder that is shown; written anew each time
ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_WEBHOOK_URL")


def show_trackio(folder: Path) -> int:
    """Feed the runs below a folder to Trackio and serve its page until Ctrl-C.

    Raises:
        InputError: Trackio is not installed, or there is nothing to show.
    """
    project = feed(folder)
    import trackio

    print(f"trackio: project {project}, kept in {folder / STORE} (Ctrl-C ends it)", flush=True)
    trackio.show(project=project, host="127.0.0.1", share=False)
    return 0


def feed(folder: Path) -> str:
    """Put every run with metrics into a fresh local project; its name.

    Raises:
        InputError: Trackio is not installed, or there is nothing to show.
    """
    if importlib.util.find_spec("trackio") is None:
        raise InputError(
            "--view trackio needs the package trackio: run `pip install 'loomlab[trackio]'`, or "
            "use --view report"
        )
    tables = {run.path: read_columns(run.metrics) for run in find_runs(folder)}
    tables = {path: table for path, table in tables.items() if logged(table)}
    if not tables:
        raise InputError(f"no run in {folder} has metrics to show: give the folder of a sweep")
    store = folder.resolve() / STORE
    shutil.rmtree(store, ignore_errors=True)
    os.environ["TRACKIO_DIR"] = str(store)  # read when trackio is imported
    for name in ELSEWHERE:
        os.environ.pop(name, None)  # what is shown here stays here
    import trackio

    project = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name).strip("-") or "sweep"
    with redirect_stdout(StringIO()):  # several lines per run
        for path, table in tables.items():
            trackio.init(
                project=project, name=_name(path, folder), embed=False,
                config=settings(RunFolder(path)), auto_log_gpu=False, auto_log_cpu=False,
            )  # fmt: skip
            for step, metrics in rows(table):
                trackio.log(metrics, step=step)
            trackio.finish()
    return project


def _name(path: Path, folder: Path) -> str:
    return path.name if path == folder else path.relative_to(folder).as_posix()


def rows(table: Columns) -> list[tuple[int, dict[str, float]]]:
    """Step and numbers of every row of a metrics.csv, costs too: they are x axes there."""
    names = [name for name in table if name and name != "step"]
    found = []
    for i, step in enumerate(table["step"]):
        values = {name: float(table[name][i]) for name in names if np.isfinite(table[name][i])}
        found.append((int(step), values))
    return found


def settings(run: RunFolder) -> dict[str, Any]:
    """The config with dotted keys, as Trackio's table of runs shows it."""
    found: dict[str, Any] = {}

    def walk(node: Any, trail: str) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                walk(value, f"{trail}.{key}" if trail else str(key))
        elif not trail.rpartition(".")[2].startswith("_"):
            found[trail] = node

    walk(read_config(run)[0] or {}, "")
    return found
