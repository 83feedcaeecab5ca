"""Running `loom` as a user does: a process of its own in an empty folder."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Loom = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def loom(tmp_path: Path) -> Loom:
    """Run `loom` with arguments in the test's folder; environment variables by keyword."""
    (tmp_path / "work").mkdir()

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "loomlab", *arguments]
        settings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path / "work", env=settings
        )

    return run


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder `loom` runs in."""
    return tmp_path / "work"
