"""A run that reports to its sweep, and is ended by the verdict or goes on without one."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loomlab.run import pruning
from loomlab.run.folder import RunFolder
from loomlab.run.ledger import GO_ON, PRUNE, TRIAL, Job, Ledger
from loomlab.run.metrics_file import read_metrics

LOSS = "val/bits_per_byte"
SMALL = ["model.layers=1", "model.width=16", "model.heads=2", "budget.steps=8",
         "trainer.val_every_n_steps=2", "optimizer.lr=0.01"]  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger that the runs of this test report to, as job `a`."""
    monkeypatch.setenv(TRIAL, json.dumps([str(tmp_path / "sweep"), "a", LOSS]))
    ledger = Ledger(tmp_path / "sweep")
    ledger.add([Job("a", 0, "000", [], {})])
    return ledger


@contextmanager
def judging(ledger: Ledger, verdicts: dict[int, str]) -> Iterator[None]:
    """Answer reports from another thread, as the sweep does from another process."""
    over = threading.Event()

    def answer() -> None:
        while not over.wait(0.02):
            for key, step, _, verdict in ledger.reports():
                if verdict is None and step in verdicts:
                    ledger.judge(key, step, verdicts[step])

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_run_that_is_ended(train: Callable[..., RunFolder], ledger: Ledger):
    with judging(ledger, {2: GO_ON, 4: PRUNE}):
        folder = train(*SMALL, "callbacks=[checkpoint]")
    summary = folder.summary()
    assert summary["status"] == "pruned"
    assert (summary["steps"], summary["tokens"], summary["metric"]) == (4, 4 * 64, LOSS)
    said = [(step, verdict) for _, step, _, verdict in ledger.reports()]
    assert said == [(2, GO_ON), (4, PRUNE)]
    held_out = [row[LOSS] for row in read_metrics(folder.metrics) if LOSS in row]
    assert [value for _, _, value, _ in ledger.reports()] == pytest.approx(held_out)
    assert summary["best"][LOSS] == pytest.approx(min(held_out))
    assert not folder.model.exists(), "nothing more is saved"


def test_a_run_that_nobody_answers_goes_on(
    train: Callable[..., RunFolder], ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pruning, "WAIT_SECONDS", 0.1)
    folder = train(*SMALL)
    assert folder.summary()["status"] == "finished"
    assert [step for _, step, _, _ in ledger.reports()] == [2, 4, 6, 8]


def test_a_verdict_that_comes_late_counts(
    train: Callable[..., RunFolder], ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pruning, "WAIT_SECONDS", 0.1)
    ledger.report("a", 1, 9.0)
    ledger.judge("a", 1, PRUNE)
    assert train(*SMALL).summary()["steps"] == 2


def test_the_last_validation_waits_for_nobody(
    train: Callable[..., RunFolder], ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pruning, "WAIT_SECONDS", math.inf)
    assert train(*SMALL, "budget.steps=2").summary()["status"] == "finished"
    assert [step for _, step, _, _ in ledger.reports()] == [2]


def test_a_ledger_that_cannot_be_written_ends_no_run(
    train: Callable[..., RunFolder], ledger: Ledger
):
    with ledger._open() as connection:
        connection.execute("drop table reports")
        connection.execute("create table reports (other text)")
    assert train(*SMALL, "budget.steps=2").summary()["status"] == "finished"


def test_a_resumed_run_remembers_its_best(ledger: Ledger):
    before, after = (pruning.Judged(ledger.folder, "a", LOSS) for _ in range(2))
    before.best, before.best_value = {LOSS: 2.5}, 2.5
    after.load_state_dict(before.state_dict())
    assert (after.best, after.best_value) == ({LOSS: 2.5}, 2.5)


def test_a_run_of_no_sweep_has_nobody_to_ask(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(TRIAL, raising=False)
    assert pruning.judges() == []
