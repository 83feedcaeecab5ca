"""All gates in a row: every job of a command line is checked before the first starts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from loomlab.compose.gate import check

Said = Callable[..., str]


def test_jobs_of_a_sweep_in_hydras_order():
    checked = check(["seed=1,2", "optimizer=adamw,sgd"], multirun=True)
    assert not checked.problems
    assert checked.jobs == [
        ["seed=1", "optimizer=adamw"],
        ["seed=1", "optimizer=sgd"],
        ["seed=2", "optimizer=adamw"],
        ["seed=2", "optimizer=sgd"],
    ]
    assert [config.seed for config in checked.configs] == [1, 1, 2, 2]
    assert not GlobalHydra.instance().is_initialized(), "Hydra is left as it was"


def test_one_bad_job_is_named(said: Said):
    message = said("model=gpt,bert", "seed=1,2", multirun=True)
    assert message.startswith("4 jobs, 2 refused; nothing was started:")
    assert "(jobs 2, 3)" in message
    assert message.count("  - ") == 1, "a problem of several jobs is told once"


def test_problem_of_all_jobs_is_told_once(said: Said):
    message = said("seed=1,2,3", "optimizer.lr=nan", multirun=True)
    assert message.count("  - ") == 1
    assert message.endswith("(all jobs)")


def test_single_bad_value_of_a_range(said: Said):
    assert "(job 1)" in said("optimizer.lr=0.1,-0.1", multirun=True)


def test_sweep_that_cannot_be_read(said: Said):
    assert "cannot be read as an override" in said("seed=[1", "model=gpt", multirun=True)


def test_checking_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    check([], multirun=False)
    check(["model=bert"], multirun=False)
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
