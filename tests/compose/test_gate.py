"""All gates in a row: a job is checked before anything of it starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.compose.gate import check

Said = Callable[..., str]


def test_checking_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    check([])
    check(["model=bert"])
    assert list(tmp_path.iterdir()) == []


def test_experiment_with_a_stale_key(said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An experiment sets a number of one option; swapping the option must not hide it."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\noptimizer: {betas: [0.8, 0.9]}\n"
    )
    monkeypatch.setenv("LOOM_CONF", str(tmp_path))
    assert said("experiment=mine") == ""
    message = said("experiment=mine", "optimizer=sgd")
    assert "optimizer.betas: Key 'betas' not in 'SGD', but experiment/mine sets it" in message
