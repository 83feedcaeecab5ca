"""How far a verb is, on a terminal: one line of the standard error, which goes when it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

SECONDS = 0.1  # between two times that the line is drawn
ERASED = "\r\x1b[K"


class ProgressLine:
    """Counts what is done on the standard error; says nothing where that is no terminal.

    What is printed meanwhile may go to the same terminal: `make_room` before it, `advance` after.
    """

    def __init__(self, what: str, total: Callable[[], int | None], *, on: bool = True) -> None:
        """`what` is counted; `total` is asked, once, for how many there are (None: unknown).

        Not `on` where the terminal is needed for something else.
        """
        self.what, self.total = what, total
        self.of = ""
        self.done = 0
        self.shown = False
        self.drawn = 0.0
        self.on = on and sys.stderr.isatty()
        self.shared = self.on and sys.stdout.isatty()

    def __enter__(self) -> Self:
        """Ask for the total and show the line."""
        if self.on:
            total = self.total()
            self.of = "" if total is None else f" of {total:,}"
            self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the line away, so that what is said next begins a line."""
        self._erase()

    def make_room(self) -> None:
        """Take the line away if what is printed next would be written into it."""
        if self.shared:
            self._erase()

    def advance(self) -> None:
        """One more is done; the line is drawn anew, but not for each of thousands a second."""
        self.done += 1
        if self.on and time.monotonic() - self.drawn >= SECONDS:
            self._draw()

    def _draw(self) -> None:
        print(f"\r{self.done:,}{self.of} {self.what}", end="\x1b[K", file=sys.stderr, flush=True)
        self.drawn, self.shown = time.monotonic(), True

    def _erase(self) -> None:
        if self.shown:
            print(end=ERASED, file=sys.stderr, flush=True)
            self.shown = False
