"""Further processes of a run, forked with their imports done, and else as a user's.

Each would import torch, Lightning and Transformers anew, which takes far longer than the few
steps of a test. Here they are what `python -m loomlab.run RUN_DIR` is: a process with its
own memory, which meets the others over sockets, and can be signalled, killed and listed by name.
"""

import ctypes
import os
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn
from unittest import mock

from tests.warm import PATH, forkserver

MODULE = "loomlab.run"
STARTER = "loomlab.parallelism.launcher.subprocess"
Asked = tuple[Sequence[str], dict[str, str], str]


def be_listed_as(command: Sequence[str]) -> None:
    """Write a command line over that of the process this one was forked from."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end of proc(5)
    text = b"".join(word.encode() + b"\0" for word in command)
    assert len(text) <= end - start, f"no room for {text!r}"
    ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)


def become(command: Sequence[str], environment: dict[str, str], folder: str) -> int:
    """Turn this process, just forked, into a further one of a run; the exit code."""
    import torch

    from loomlab.run import worker

    be_listed_as(command)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", torch.get_num_threads())))
    sys.path[:] = [folder, *PATH]
    sys.argv = [MODULE, *command[3:]]
    return worker.main(command[3])


def in_the_server(asked: Asked, first: int) -> NoReturn:
    """A process that the fork server has started, and writes where the first one does."""
    for descriptor in (1, 2):
        place = os.open(f"/proc/{first}/fd/{descriptor}", os.O_WRONLY | os.O_APPEND)
        os.dup2(place, descriptor)
        os.close(place)
    sys.exit(become(*asked))


class ServedRank:
    """For runs in the process of the tests: a child of the fork server."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        assert list(command[1:3]) == ["-m", MODULE], command
        asked = (list(command), dict(env), os.getcwd())
        self._process = forkserver.Process(target=in_the_server, args=(asked, os.getpid()))
        self._process.start()
        self.pid = self._process.pid

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.join()


class SpareRank:
    """For runs of a process that was forked itself: its own child, in its own group.

    It is forked before that process has threads, and waits to be asked for.
    """

    def __init__(self) -> None:
        there, self._here = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(there)
            return
        os.close(self._here)
        with os.fdopen(there, "rb") as told:
            words = told.read()
        try:
            code = become(*pickle.loads(words)) if words else 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)

    def __call__(self, command: Sequence[str], env: Mapping[str, str]) -> "SpareRank":
        """Be what was asked for."""
        with os.fdopen(self._here, "wb") as told:
            told.write(pickle.dumps((list(command), dict(env), os.getcwd())))
        return self

    def kill(self) -> None:
        """SIGKILL."""
        os.kill(self.pid, 9)


def keep_spares(count: int) -> None:
    """In a process that has just been forked: further processes are forked now, for later."""
    spares: list[SpareRank] = []
    for _ in range(count):
        spares.append(SpareRank())
    mock.patch(STARTER, SimpleNamespace(Popen=lambda c, env: spares.pop()(c, env))).start()


@contextmanager
def served() -> Iterator[None]:
    """Runs of this process get their further processes from the fork server."""
    ranks: list[ServedRank] = []

    def start(command: Sequence[str], env: Mapping[str, str]) -> ServedRank:
        ranks.append(ServedRank(command, env))
        return ranks[-1]

    try:
        with mock.patch(STARTER, SimpleNamespace(Popen=start)):
            yield
    finally:
        for rank in ranks:
            rank.kill()
