"""Output into a pipe whose reader goes away, as in `loom options | head`."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Any, TextIO

CUT_OFF = 128 + signal.SIGPIPE  # the exit code of a program whose output nobody wanted


class Deaf:
    """A stream that drops what its reader is no longer there for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or do not."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            drop(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, or do not."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            drop(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def speak_any_locale() -> None:
    """Let the screen show what its encoding lacks as an escape, rather than end in an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop(stream: TextIO) -> None:
    """Let what is still to be written, also at the end of the process, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def work_on_without_reader() -> None:
    """For verbs that do work: it goes on, whoever reads or does not."""
    sys.stdout, sys.stderr = Deaf(sys.stdout), Deaf(sys.stderr)


def complain(text: str) -> None:
    """Say something on standard error, if anybody is there."""
    Deaf(sys.stderr).write(f"{text}\n")


def settled(code: int) -> int:
    """The exit code, once all output has been delivered or dropped."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            drop(stream)
            code = code or CUT_OFF
    return code
