"""What a run says, where Hydra does not set the logs up: on the screen, and in train.log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from loomlab.run.folder import RunFolder
from loomlab.run.output import LOG
from loomlab.secrets import MaskingFormatter

TIMED = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def logged(folder: RunFolder) -> Iterator[None]:
    """While it lasts, the log goes where `loom train` has it; afterwards all is as it was."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    file = logging.FileHandler(folder.path / LOG, encoding="utf-8")
    file.setFormatter(MaskingFormatter(logging.Formatter(TIMED)))
    screen = logging.StreamHandler(sys.stdout)
    screen.setFormatter(MaskingFormatter(logging.Formatter("%(message)s")))
    root.handlers[:] = [screen, file]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        file.close()
