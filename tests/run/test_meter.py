"""Training numbers: at the logged steps, over the whole global batch of the step."""

import math
from collections.abc import Callable

import pytest
import torch

from loomlab.run.finished_run import FinishedRun
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Finish = Callable[..., RunFolder]
RUN = ["budget.steps=6", "model.dropout=0", "trainer.val_every_n_steps=6"]


def training_rows(folder: RunFolder) -> list[dict[str, float]]:
    rows = [row for row in read_metrics(folder.metrics) if "train/loss" in row]
    return [{k: v for k, v in r.items() if k == "step" or k.startswith("train/")} for r in rows]


@pytest.fixture(scope="module")
def plain(finish: Finish) -> RunFolder:
    return finish(*RUN)


@pytest.mark.parametrize("every", [2, 3, 5])
def test_only_logged_steps_have_numbers(finish: Finish, plain: RunFolder, every: int):
    rows = training_rows(finish(*RUN, f"trainer.log_every_n_steps={every}"))
    assert rows == [row for row in training_rows(plain) if row["step"] % every == 0]
    assert rows


def test_numbers_are_of_all_micro_batches(finish: Finish, plain: RunFolder):
    parts = training_rows(finish(*RUN, "trainer.accumulate_grad_batches=4"))
    whole = training_rows(plain)
    assert [row["step"] for row in parts] == [1, 2, 3, 4, 5, 6]
    for part, row in zip(parts, whole, strict=True):
        assert part == pytest.approx(row, rel=1e-5)


def test_the_first_loss_is_that_of_the_untrained_model_on_the_first_batch(finish: Finish):
    """With a rate of zero the saved weights are those that step one was computed with."""
    still = ["optimizer=sgd", "optimizer.lr=0", "scheduler=constant", "scheduler.warmup=0"]
    folder = finish(*RUN, *still)
    objective, corpus = FinishedRun(folder.path).with_corpus()
    batches = iter(corpus.train_dataloader())
    with torch.no_grad():
        for row in training_rows(folder):
            logits, targets = objective.predict(next(batches))
            loss = float(objective.loss(logits, targets))
            hits = float((logits.argmax(-1) == targets).float().mean())
            assert row["train/loss"] == pytest.approx(loss, rel=1e-6)
            assert row["train/accuracy"] == pytest.approx(hits)
            assert row["train/perplexity"] == pytest.approx(math.exp(loss), rel=1e-5)
            size = float(corpus.token_bytes()[targets].sum())
            bits = len(targets) * loss / math.log(2) / size
            assert row["train/bits_per_byte"] == pytest.approx(bits, rel=1e-6)


def test_training_is_the_same_however_often_it_is_logged(finish: Finish, plain: RunFolder):
    seldom = finish(*RUN, "trainer.log_every_n_steps=1000")
    assert training_rows(seldom) == []
    assert seldom.summary()["best"] == plain.summary()["best"]
