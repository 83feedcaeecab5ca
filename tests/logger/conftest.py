"""The real client of W&B with no other settings than those of a test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Set variables, for a client of a user who has set no others; None takes one away."""
    wandb.teardown()  # else the variables name a service that is gone when they are put back
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WANDB_") or name == "NETRC"]:
        monkeypatch.delenv(name)

    def told(**variables: str | None) -> None:
        for name, value in variables.items():
            if value is None:
                monkeypatch.delenv(name)
            else:
                monkeypatch.setenv(name, value)
        wandb.teardown()  # its settings are those of the moment it was first used

    told()
    yield told
    wandb.teardown()
