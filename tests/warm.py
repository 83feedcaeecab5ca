"""`loom` in processes that are forked with their imports done, and else are as a user's.

Importing torch, Lightning and Transformers takes several seconds of a processor, a tiny training
less than one. A process of its own can be signalled, killed and looked at all the same.
"""

import contextlib
import itertools
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.patience import PATIENCE

IMPORTED = ["loomlab.run.session", "loomlab.entry.train", "loomlab.run.worker",
            "loomlab.parallelism.local_sgd"]  # fmt: skip
SWEEPING = {"-m", "--multirun", "sweep"}  # words of commands that may fork jobs
COLD = "LOOM_TEST_COLD_JOBS"  # in the environment: the process of jobs is begun as a user's
PATH = list(sys.path)  # before any test has added a folder
forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload(IMPORTED)


def stand_still(at: int, reached: Path, go_on: Path) -> None:
    """Let training wait before an optimizer step until a file is there."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    steps = itertools.count(1)

    def wait(*_: object) -> None:
        if next(steps) == at:
            reached.touch()
            while not go_on.exists():
                time.sleep(0.005)

    register_optimizer_step_pre_hook(wait)


def begin(
    arguments: Sequence[str], folder: Path, environment: dict[str, str], outputs: Sequence[Path],
    places: Sequence[str], stop: tuple[int, Path, Path] | None, ranks: int, module: str,
) -> None:  # fmt: skip
    """What the forked process does; it leads a session of its own."""
    import torch

    from loomlab.entry.cli import main

    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), descriptor)
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", torch.get_num_threads())))
    sys.path[:] = [str(folder), *places]
    sys.argv = ["loom", *arguments]
    if ranks:
        from tests.warm_ranks import keep_spares

        keep_spares(ranks)
    if SWEEPING & set(arguments) and COLD not in environment:
        from tests.warm_jobs import keep_spare

        keep_spare()
    if stop is not None:
        stand_still(*stop)
    if module:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        main(list(arguments))


class WarmProcess:
    """A running `loom`, with what the tests need of subprocess.Popen."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None,
        *, together: bool = False, stop_at: int | None = None, ranks: int = 0, module: str = "",
    ) -> None:  # fmt: skip
        """`together`: errors are part of the output, as with stderr=STDOUT.

        `stop_at`: before this optimizer step training stands still until `go_on()`.
        `ranks`: this many further processes of the run are forked, too.
        `module`: run this one instead of `loom`, as `python -m` does.
        """
        self._kept = tempfile.TemporaryDirectory(prefix="loom-output-")
        paths = [Path(self._kept.name, name) for name in ("output", "errors")]
        self._paths = [paths[0], paths[0]] if together else paths
        self.args, self._together = list(arguments), together
        self._reached, self._go_on = (Path(self._kept.name, n) for n in ("reached", "go_on"))
        stop = None if stop_at is None else (stop_at, self._reached, self._go_on)
        given = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        told = (self.args, Path(folder), given, self._paths, PATH, stop, ranks, module)
        self._process = forkserver.Process(target=begin, args=told)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended: minus a signal's number if that ended it."""
        return self._process.exitcode

    def stands_still(self, within: float = PATIENCE) -> None:
        """Wait until it has come to `stop_at`."""
        end = time.monotonic() + within
        while not self._reached.exists():
            assert self.poll() is None, self.communicate()
            assert time.monotonic() < end, f"not there after {within:g} s"
            time.sleep(0.01)

    def go_on(self) -> None:
        """Let it train on from `stop_at`."""
        self._go_on.touch()

    def poll(self) -> int | None:
        """How it ended, or None."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end."""
        self._process.join(timeout or PATIENCE)
        if self.returncode is None:
            if timeout:
                raise subprocess.TimeoutExpired(self.args, timeout)
            os.kill(self.pid, signal.SIGABRT)
            self._process.join(60)
            raise AssertionError(f"{self.args} hangs: {self._said()}")
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it has written."""
        self.wait(timeout)
        return self._said()

    def _said(self) -> tuple[str, str]:
        texts = [p.read_text(errors="replace") if p.exists() else "" for p in self._paths]
        return texts[0], "" if self._together else texts[1]

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL, to it and what it has started, which may outlive it."""
        with contextlib.suppress(ProcessLookupError):  # it leads no group yet, or none is left
            os.killpg(self.pid, signal.SIGKILL)
        if self.returncode is None:
            self._process.kill()
            self._process.join()


def run(
    arguments: Sequence[str], folder: Path, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """A whole `loom`, as subprocess.run returns it."""
    return ended(WarmProcess(arguments, folder, environment))


def run_command(command: Sequence[str], **_: object) -> "subprocess.CompletedProcess[str]":
    """`python -m MODULE ...` in this folder, given and returned as by subprocess.run."""
    assert list(command[:2]) == [sys.executable, "-m"], command
    return ended(WarmProcess(command[3:], Path.cwd(), module=command[2]))


def ended(process: WarmProcess) -> "subprocess.CompletedProcess[str]":
    """What became of it, and what it has written."""
    output, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode or 0, output, errors)
