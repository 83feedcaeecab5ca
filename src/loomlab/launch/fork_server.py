"""A process that has done some imports once, and forks every job from there.

Importing torch, Lightning and Transformers costs seconds of a processor, a fork milliseconds. A
job is a process of its own all the same: in a session of its own, with its own environment, folder
and log, and what kills it reaches no other.

It reads one request a line (JSON) and answers with lines: {"key", "pid"} when a job has been
started, {"pid", "code"} when one has ended. At the end of its input it ends; its jobs go on.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from selectors import EVENT_READ, DefaultSelector
from typing import Any


@dataclass(frozen=True)
class Request:
    """A job: `python -m MODULE ARGUMENTS`, and where and with what it runs."""

    key: str
    module: str
    arguments: list[str]
    log: str
    cwd: str
    environment: dict[str, str]

    def line(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"


def serve(requests: int, answers: int) -> Request | None:
    """Start what is asked for; returns the request in each child, None in the server at its end.

    `requests`, `answers`: file descriptors to read from and to write to.
    """
    woken, waker = socket.socketpair()
    for end in (woken, waker):
        end.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    kept = b""
    with DefaultSelector() as selector:
        selector.register(requests, EVENT_READ)
        selector.register(woken, EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if woken.fileno() in ready:
                woken.recv(4096)
                for pid, code in _ended():
                    _tell(answers, pid=pid, code=code)
            if requests not in ready:
                continue
            piece = os.read(requests, 65536)
            if not piece:
                return None
            *lines, kept = (kept + piece).split(b"\n")
            for line in lines:
                request = Request(**json.loads(line))
                pid = _fork()
                if not pid:
                    signal.set_wakeup_fd(-1)
                    os.close(requests)
                    os.close(answers)
                    return request
                _tell(answers, key=request.key, pid=pid)


def _fork() -> int:
    """Fork; the parent learns of the child once that leads its own session and can be killed."""
    there, here = os.pipe()
    pid = os.fork()
    if pid:
        os.close(here)
        os.read(there, 1)
        os.close(there)
    else:
        os.setsid()
        os.close(there)
        os.close(here)
    return pid


def _ended() -> list[tuple[int, int]]:
    """Children that have ended, and how."""
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not pid:
            return found
        found.append((pid, os.waitstatus_to_exitcode(status)))


def _tell(answers: int, **what: Any) -> None:
    os.write(answers, json.dumps(what).encode() + b"\n")  # below PIPE_BUF: whole


def become(request: Request) -> None:
    """Turn this process into the one that was asked for; ends with it."""
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request.environment)
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(request.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for place, descriptor in enumerate((nothing, log, log)):
        os.dup2(descriptor, place)
    for descriptor in (nothing, log):
        os.close(descriptor)
    os.chdir(request.cwd)
    sys.path[0] = request.cwd
    sys.argv = [request.module, *request.arguments]
    runpy.run_module(request.module, run_name="__main__", alter_sys=True)


def main(imported: Sequence[str]) -> None:
    """Import, serve, and be each job that is asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the sweep tells its jobs
    # What is read and said are not the standard streams, which any import may write to.
    requests, answers = (os.dup(number) for number in (0, 1))
    os.dup2(2, 1)
    for name in imported:
        importlib.import_module(name)
    gc.freeze()  # pages of what is there now stay shared with the children
    request = serve(requests, answers)
    if request is not None:
        become(request)


if __name__ == "__main__":
    main(sys.argv[1:])
