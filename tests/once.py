"""A run that several tests look at is trained once for all of them."""

from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["kept_runs", "train_once"]


@pytest.fixture(scope="session")
def kept_runs() -> dict[tuple[str, ...], Any]:
    """The folders of those runs by their overrides."""
    return {}


@pytest.fixture
def train_once(
    train: Callable[..., Any],
    kept_runs: dict[tuple[str, ...], Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Any]:
    """Like `train`, but the same overrides give the same folder, which nobody may change."""

    def run(*more: str) -> Any:
        if more not in kept_runs:
            folder = tmp_path_factory.mktemp("once") / "run"
            kept_runs[more] = train(*more, f"paths.output_dir={folder}")
        return kept_runs[more]

    return run
