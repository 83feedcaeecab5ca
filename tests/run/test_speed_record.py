"""What is known of the speed of runs on this machine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.compose.composer import compose_job, composing
from loomlab.run import speed_record
from loomlab.run.folder import RunFolder
from loomlab.run.speed_record import FILE, current_threads, expected_seconds, remember_speed


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., object]:
    def compose(*overrides: str) -> object:
        with composing():
            return compose_job([f"paths.cache_dir={tmp_path}", *overrides])

    return compose


def test_a_run_of_the_same_kind_tells(config: Callable):
    spent = {"tokens": 5000, "training_seconds": 10.0, "seconds": 13.0}
    remember_speed(config(), spent)
    threads = current_threads()
    assert expected_seconds(config("optimizer=sgd", "seed=7"), 20_000, threads) == 40 + 3
    assert expected_seconds(config("model.width=64"), 20_000, threads) is None
    assert expected_seconds(config(), 20_000, threads + 1) is None
    assert expected_seconds(config(), None, threads) is None, "tokens are not known"


def test_the_kinds_that_ran_longest_ago_go(config: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speed_record, "KEPT", 2)
    spent = {"tokens": 10, "training_seconds": 1.0, "seconds": 1.0}
    kinds = [config(f"model.width={width}") for width in (32, 64, 128)]
    for number in (0, 1, 0, 2):
        remember_speed(kinds[number], spent)
    known = [expected_seconds(kind, 10, current_threads()) is not None for kind in kinds]
    assert known == [True, False, True]


def test_nothing_is_known_of_a_run_that_took_no_step(config: Callable):
    remember_speed(config(), {"tokens": 0, "training_seconds": 0.0, "seconds": 1.0})
    assert expected_seconds(config(), 10, current_threads()) is None


def test_a_budget_of_seconds_tells_itself(config: Callable):
    assert expected_seconds(config("budget.seconds=60"), None, 1) == 60


def test_a_damaged_record_is_no_record(config: Callable, tmp_path: Path):
    (tmp_path / FILE).write_text("{half")
    assert expected_seconds(config(), 1000, 1) is None
    remember_speed(config(), {"tokens": 10, "training_seconds": 1.0, "seconds": 1.0})
    assert expected_seconds(config(), 1000, current_threads()) == 100


def test_a_run_leaves_its_speed(train: Callable[..., RunFolder], cache_dir: Path):
    folder = train("model.layers=1", "model.width=16", "model.heads=2")
    seconds = expected_seconds(folder.config(), 64, current_threads())
    assert seconds is not None
    assert seconds > 0
