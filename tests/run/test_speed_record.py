"""What is known of the speed of runs on this machine."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.compose.composer import compose_job, composing
from loomlab.run import speed_record
from loomlab.run.folder import RunFolder
from loomlab.run.speed_record import FILE, Cost, current_threads, expected, remember_speed


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., object]:
    def compose(*overrides: str) -> object:
        with composing():
            return compose_job([f"paths.cache_dir={tmp_path}", *overrides])

    return compose


def test_a_run_of_the_same_kind_tells(config: Callable):
    spent = {"tokens": 5000, "training_seconds": 10.0, "seconds": 13.0, "flops": 1e9}
    remember_speed(config(), spent)
    threads = current_threads()
    assert expected(config("optimizer=sgd", "seed=7"), 20_000, threads) == Cost(40 + 3, 4e9)
    for other in ("model.width=64", "tokenizer.vocab_size=300", "compression=[lora]"):
        assert expected(config(other), 20_000, threads) == Cost()
    assert expected(config(), 20_000, threads + 1) == Cost()
    assert expected(config(), None, threads) == Cost(), "tokens are not known"


def test_the_kinds_that_ran_longest_ago_go(config: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speed_record, "KEPT", 2)
    spent = {"tokens": 10, "training_seconds": 1.0, "seconds": 1.0}
    kinds = [config(f"model.width={width}") for width in (32, 64, 128)]
    for number in (0, 1, 0, 2):
        remember_speed(kinds[number], spent)
    known = [expected(kind, 10, current_threads()).seconds is not None for kind in kinds]
    assert known == [True, False, True]


def test_nothing_is_known_of_a_run_that_took_no_step(config: Callable):
    remember_speed(config(), {"tokens": 0, "training_seconds": 0.0, "seconds": 1.0})
    assert expected(config(), 10, current_threads()) == Cost()


def test_a_cache_that_cannot_be_written_ends_no_run(config: Callable, tmp_path: Path):
    """As that of another user, or one on a disk that is full by now."""
    (tmp_path / "cache").write_text("a file")
    spent = {"tokens": 10, "training_seconds": 1.0, "seconds": 1.0}
    for cache in (tmp_path / "cache", tmp_path / "cache" / "below"):
        here = config(f"paths.cache_dir={cache}")
        remember_speed(here, spent)
        assert expected(here, 10, current_threads()) == Cost()


def test_a_budget_tells_itself(config: Callable):
    assert expected(config("budget.seconds=60"), None, 1) == Cost(seconds=60)
    assert expected(config("budget.flops=1e12"), None, 1) == Cost(flops=1e12)


def test_a_record_without_operations_tells_the_time(config: Callable, tmp_path: Path):
    remember_speed(config(), {"tokens": 10, "training_seconds": 1.0, "seconds": 1.0})
    records = json.loads((tmp_path / FILE).read_text())
    for record in records.values():
        del record["flops_per_token"]
    (tmp_path / FILE).write_text(json.dumps(records))
    assert expected(config(), 20, current_threads()) == Cost(seconds=2.0)


def test_a_damaged_record_is_no_record(config: Callable, tmp_path: Path):
    (tmp_path / FILE).write_text("{half")
    assert expected(config(), 1000, 1) == Cost()
    remember_speed(config(), {"tokens": 10, "training_seconds": 1.0, "seconds": 1.0})
    assert expected(config(), 1000, current_threads()).seconds == 100


def test_a_run_leaves_its_speed(train: Callable[..., RunFolder], cache_dir: Path):
    folder = train("model.layers=1", "model.width=16", "model.heads=2")
    taken = expected(folder.config(), 128, current_threads())
    assert taken.seconds is not None
    assert taken.seconds > 0
    assert taken.flops == pytest.approx(folder.summary()["flops"], rel=1e-3)
