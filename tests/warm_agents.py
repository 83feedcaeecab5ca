"""`torchrun ...` whose workers are forked with the imports done, as it is itself: run as a module.

A worker is a process in a session of its own that torchrun watches, ends and starts again, as
any; only the one that it replaces would have imported torch, Lightning and Transformers anew.
"""

import os
import pickle
import runpy
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NoReturn
from unittest import mock

from tests.warm import PATH

STARTER = "torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler.Popen"
ATTEMPTS = 2  # workers that one torchrun starts, one after the other


class Worker:
    """A process that waits to be asked for, with what torchrun needs of subprocess.Popen."""

    def __init__(self) -> None:
        told, self._tell = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._tell)
            with os.fdopen(told, "rb") as words:
                asked = words.read()
            if not asked:
                os._exit(0)
            become(*pickle.loads(asked))
        os.close(told)
        self.returncode: int | None = None

    def ask(self, args: Sequence[str], env: Mapping[str, str]) -> "Worker":
        """Be what is asked for."""
        with os.fdopen(self._tell, "wb") as words:
            words.write(pickle.dumps((list(args), dict(env))))
        return self

    def poll(self) -> int | None:
        """How it ended, or None."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end."""
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("worker", timeout)
            time.sleep(0.01)
        return code


def become(args: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Turn this process into `python -u -m MODULE ARGUMENTS`; ends with it."""
    assert list(args[1:3]) == ["-u", "-m"], args
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    sys.path[:] = [os.getcwd(), *PATH]
    sys.argv = list(args[3:])
    runpy.run_module(args[3], run_name="__main__", alter_sys=True)
    sys.exit(0)


def main() -> None:
    """Be torchrun."""
    workers = [Worker() for _ in range(ATTEMPTS)]  # before there are threads
    from torch.distributed.run import main

    with mock.patch(STARTER, lambda args, env, **_: workers.pop().ask(args, env)):
        main(sys.argv[1:])


if __name__ == "__main__":
    main()
