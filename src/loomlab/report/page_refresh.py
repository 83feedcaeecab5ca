"""The page of a sweep that still runs, written anew now and then."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from loomlab.errors import InputError
from loomlab.report.page import write_report

EVERY = 30.0  # seconds between two pages, at least
PAUSE = 20.0  # times as long as a page took nothing is written: it may cost 5 % of a core


class PageRefresh:
    """Writes report.html when it is called and the last one is old enough."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.due = time.monotonic()  # the first one at once, so that there is one to look at

    def __call__(self) -> None:
        """What keeps it from being written is said by the one at the end of the sweep."""
        begun = time.monotonic()
        if begun < self.due:
            return
        with contextlib.suppress(OSError, InputError):
            write_report(self.folder)
        ended = time.monotonic()
        self.due = ended + max(EVERY, PAUSE * (ended - begun))
