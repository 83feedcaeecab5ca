"""A model scores outside the trainer what it scored inside."""

from collections.abc import Callable

import pytest

from loomlab.run.evaluation import evaluate
from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

KINDS = {
    "clm": ["position=rope", "model.dropout=0.1"],
    "mlm": ["model=bert", "objective=mlm", "model.dropout=0.1"],
    "bf16": ["precision=bf16"],
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def run(finish: Callable[..., RunFolder], request: pytest.FixtureRequest) -> RunFolder:
    more = ["budget.steps=4", "trainer.val_every_n_steps=2", "optimizer.lr=0.01"]
    return finish(*more, *request.param)


def test_evaluation_equals_validation(run: RunFolder):
    inside = [row for row in read_metrics(run.metrics) if "val/loss" in row][-1]
    objective, corpus = FinishedRun(run.path).with_corpus()
    bf16 = run.summary()["precision"] == "bf16-mixed"
    outside = evaluate(objective, corpus, bf16, batches=2)
    assert set(outside) == {k for k in inside if k.startswith("val/")}
    for key, value in outside.items():
        assert value == pytest.approx(inside[key], rel=1e-6), key
        assert value == pytest.approx(run.summary()["best"][key], rel=1e-6), key


def test_evaluation_leaves_the_mode_as_it_was(run: RunFolder):
    objective, corpus = FinishedRun(run.path).with_corpus()
    for training in (True, False):
        objective.train(training)
        first = evaluate(objective, corpus, False, batches=1)
        assert objective.training is training
        assert evaluate(objective, corpus, False, batches=1) == first


def test_all_batches_are_scored_by_default(run: RunFolder):
    objective, corpus = FinishedRun(run.path).with_corpus()
    batches = len(corpus.val_dataloader())
    full = evaluate(objective, corpus, False)
    assert full == evaluate(objective, corpus, False, batches)
    assert full != evaluate(objective, corpus, False, batches - 1)
