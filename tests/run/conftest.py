"""Runs that several tests of a file look at, and `loom train` as a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.patience import PATIENCE
from tests.warm import WarmProcess

from loomlab.run.folder import RunFolder

ROOT = Path(__file__).parents[2]
ALICE = ROOT / "tests" / "data" / "alice.txt"
SMALL = [
    "corpus=text", f"corpus.path={ALICE}", "tokenizer=byte", "sequence_length=16",
    "global_batch_size=4", "logger=none", "callbacks=[]", "runtime=plain", "precision=fp32",
    "trainer.limit_val_batches=2", "trainer.log_every_n_steps=1",
    "model.layers=1", "model.width=16", "model.heads=2",
]  # fmt: skip
COLD = f"""
import sys
sys.path.append({str(ROOT)!r})
from pathlib import Path
from tests.warm import stand_still
if int(sys.argv[1]):
    stand_still(int(sys.argv[1]), Path("reached"), Path("go_on"))
from loomlab.entry.cli import main
main(sys.argv[2:])
"""


@pytest.fixture(scope="session")
def small(cache_dir: Path) -> Callable[..., list[str]]:
    """Overrides of a small experiment in a given folder; more overrides win."""

    def overrides(folder: Path, *more: str) -> list[str]:
        paths = [f"paths.cache_dir={cache_dir}", f"paths.output_dir={folder}"]
        other = any(o.startswith("corpus=") for o in more)  # its settings are not those of text
        base = [o for o in SMALL if not (other and o.startswith("corpus"))]
        return [*base, "budget.steps=2", *paths, *more]

    return overrides


@pytest.fixture(scope="session")
def finish(
    small: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., RunFolder]:
    """Train a small experiment in this process, on one thread; its run folder."""

    def run(*more: str, folder: Path | None = None) -> RunFolder:
        from loomlab.compose.composer import compose_job, composing
        from loomlab.run.prepared import prepare_folder
        from loomlab.run.session import execute

        overrides = small(folder or tmp_path_factory.mktemp("run"), *more)
        with composing():
            run_folder, config = prepare_folder(compose_job(overrides), overrides)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            execute(config, run_folder)
        finally:
            torch.set_num_threads(threads)
        return run_folder

    return run


@pytest.fixture
def started(warm: Callable[..., WarmProcess], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start `loom train`; what still runs at the end of the test is killed.

    One that starts workers is begun from nothing: it forks, and should be what a user's would be.
    `stop_at`: it stands still before this optimizer step.
    """
    cold: list[subprocess.Popen[str]] = []

    def start(*overrides: str, forks: bool = False, stop_at: int | None = None) -> Any:
        if not forks:
            return warm(["train", *overrides], tmp_path, stop_at=stop_at)
        process = subprocess.Popen(
            [sys.executable, "-c", COLD, str(stop_at or 0), "train", *overrides],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
        )  # fmt: skip
        cold.append(process)
        return process

    yield start
    for process in cold:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def wait() -> Callable[..., None]:
    """Wait until something is true of a running process."""

    def until(process: Any, true: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end, "nothing happened"
            time.sleep(0.01)

    return until
