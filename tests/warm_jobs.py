"""The process that a sweep forks its jobs from, itself forked with the imports done.

A sweep starts it as `python -m loomlab.launch.fork_server`, which imports torch, Lightning and
Transformers for as long as many jobs of a test take. Here it begins where the imports end; what it
does from there, and what its jobs do, is as a user's.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest import mock

from tests.warm import PATH, forkserver

STARTER = "loomlab.launch.forked.subprocess"
MODULE = "loomlab.launch.fork_server"
PIPES = {"PIPE": subprocess.PIPE, "DEVNULL": subprocess.DEVNULL}


def be_the_server(requests: int, answers: int, threads: int) -> NoReturn:
    """Serve, with the standard streams that the real one has; ends as a job or as the server."""
    import torch

    from loomlab.launch import fork_server, forked

    nothing = os.open(os.devnull, os.O_WRONLY)
    for place, descriptor in enumerate((requests, answers, nothing)):
        os.dup2(descriptor, place)
    os.closerange(3, max(requests, answers, nothing) + 1)
    torch.set_num_threads(threads)
    sys.path[:] = ["", *PATH]
    fork_server.main(forked.IMPORTED)
    sys.exit(0)


def reopened(first: int, descriptors: Sequence[int], threads: int) -> NoReturn:
    """The server as a child of the fork server of the tests, at the pipes of another process."""
    modes = (os.O_RDONLY, os.O_WRONLY)
    places = [f"/proc/{first}/fd/{d}" for d in descriptors]
    be_the_server(*(os.open(p, m) for p, m in zip(places, modes, strict=True)), threads)


class Served:
    """What the launcher needs of subprocess.Popen, for sweeps in the process of the tests."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], **_: Any) -> None:
        assert list(command[1:3]) == ["-m", MODULE], command
        self._theirs, ours = zip(os.pipe(), os.pipe()[::-1], strict=True)
        self.stdin, self.stdout = os.fdopen(ours[0], "wb", 0), os.fdopen(ours[1], "rb", 0)
        given = (os.getpid(), self._theirs, int(env["OMP_NUM_THREADS"]))
        self._process = forkserver.Process(target=reopened, args=given)
        self._process.start()

    def poll(self) -> int | None:
        """How it ended, or None."""
        return self._process.exitcode

    def wait(self) -> None:
        """Its end; it has read all that was written before."""
        for descriptor in self._theirs:
            os.close(descriptor)
        self._process.join()


@contextmanager
def served() -> Iterator[None]:
    """Sweeps of this process get their servers from the fork server of the tests."""
    with mock.patch(STARTER, SimpleNamespace(Popen=Served, **PIPES)):
        yield


class Spare:
    """For sweeps of a process that was forked itself: its own child, forked before its threads."""

    def __init__(self) -> None:
        told, self._tell = os.pipe()
        requests, stdin = os.pipe()
        stdout, answers = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            for descriptor in (self._tell, stdin, stdout):
                os.close(descriptor)
            threads = os.read(told, 9)
            if not threads:  # nobody asked
                os._exit(0)
            os.setsid()
            be_the_server(requests, answers, int(threads))
        for descriptor in (told, requests, answers):
            os.close(descriptor)
        self.stdin, self.stdout = os.fdopen(stdin, "wb", 0), os.fdopen(stdout, "rb", 0)
        self._code: int | None = None

    def __call__(self, command: Sequence[str], *, env: Mapping[str, str], **_: Any) -> "Spare":
        """Be what was asked for."""
        assert list(command[1:3]) == ["-m", MODULE], command
        os.write(self._tell, env["OMP_NUM_THREADS"].encode())
        os.close(self._tell)
        return self

    def poll(self) -> int | None:
        """How it ended, or None."""
        return self._ended(os.WNOHANG)

    def wait(self) -> None:
        """Its end."""
        self._ended(0)

    def _ended(self, option: int) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, option)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


def keep_spare() -> None:
    """In a process that has just been forked: the server of its sweep is forked now, for later."""
    spare = Spare()
    mock.patch(STARTER, SimpleNamespace(Popen=spare, **PIPES)).start()
