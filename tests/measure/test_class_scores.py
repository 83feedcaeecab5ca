"""Scores of classifiers, against scikit-learn over all rows at once."""

import numpy as np
import pytest
import torch
from sklearn import metrics

from loomlab.errors import InputError
from loomlab.measure.class_scores import ClassScores


def single(rows: int, labels: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, labels, (rows,), generator=generator)
    logits = torch.randn(rows, labels, generator=generator)
    return logits + 2 * torch.nn.functional.one_hot(targets, labels), targets


@pytest.mark.parametrize(("rows", "labels", "seed"), [(50, 2, 0), (200, 5, 1), (7, 20, 2)])
def test_one_label_a_row(rows: int, labels: int, seed: int):
    logits, targets = single(rows, labels, seed)
    scores = ClassScores(labels)
    for part in range(0, rows, 3):
        scores.add(logits[part : part + 3], targets[part : part + 3])
    found, guess = scores.result(), logits.argmax(-1)
    probability = logits.double().softmax(-1).numpy()
    assert found == pytest.approx(
        {
            "loss": metrics.log_loss(targets, probability, labels=range(labels)),
            "accuracy": metrics.accuracy_score(targets, guess),
            "f1": metrics.f1_score(targets, guess, average="macro", zero_division=0),
            "f1_micro": metrics.f1_score(targets, guess, average="micro"),
            "matthews": metrics.matthews_corrcoef(targets, guess),
        },
        rel=1e-6,
    )


def test_several_labels_a_row():
    generator = torch.Generator().manual_seed(3)
    targets = (torch.rand(60, 5, generator=generator) < 0.3).float()
    targets[:, 4] = 0  # a label that is never there, and never predicted
    logits = torch.randn(60, 5, generator=generator) + 2 * targets
    logits[:, 4] = -1
    scores = ClassScores(5, multi_label=True)
    for part in (slice(0, 25), slice(25, 60)):
        scores.add(logits[part], targets[part])
    found, guess = scores.result(), (logits >= 0).int()
    log_loss = [
        metrics.log_loss(targets[:, n], logits[:, n].double().sigmoid(), labels=[0, 1])
        for n in range(5)
    ]
    correlations = [metrics.matthews_corrcoef(targets[:, n], guess[:, n]) for n in range(5)]
    assert found == pytest.approx(
        {
            "loss": np.mean(log_loss),
            "accuracy": metrics.accuracy_score(targets.int(), guess),
            "f1": metrics.f1_score(targets.int(), guess, average="macro", zero_division=0),
            "f1_micro": metrics.f1_score(targets.int(), guess, average="micro"),
            "matthews": np.mean(correlations),
        },
        rel=1e-6,
    )


@pytest.mark.parametrize("multi_label", [False, True])
def test_low_precision_logits_are_scored_in_fp32_and_keep_no_graph(multi_label: bool):
    logits, targets = single(50, 4, 5)
    low = logits.bfloat16().requires_grad_()
    targets = torch.nn.functional.one_hot(targets, 4) if multi_label else targets
    scores, exact = ClassScores(4, multi_label), ClassScores(4, multi_label)
    scores.add(low, targets)
    exact.add(low.detach().float(), targets)
    assert torch.equal(scores.sums, exact.sums)
    assert not scores.sums.requires_grad


def test_half_is_enough():
    scores = ClassScores(2, multi_label=True)
    scores.add(torch.tensor([[0.0, -0.1]]), torch.tensor([[1, 0]]))
    assert scores.result()["accuracy"] == 1


def test_guessing_one_label_has_no_correlation():
    scores = ClassScores(2)
    scores.add(torch.tensor([[1.0, 0.0]] * 4), torch.tensor([0, 0, 0, 1]))
    assert scores.result()["matthews"] == 0
    assert scores.result()["accuracy"] == 0.75


def test_sums_of_processes_add_up():
    logits, targets = single(40, 3, 4)
    whole, one, other = ClassScores(3), ClassScores(3), ClassScores(3)
    whole.add(logits, targets)
    one.add(logits[:15], targets[:15])
    other.add(logits[15:], targets[15:])
    one.sums += other.sums  # what `reduce` does over processes
    assert one.reduce().result() == pytest.approx(whole.result(), rel=1e-6)


def test_nothing_scored_is_refused():
    with pytest.raises(InputError, match="no held-out row was scored"):
        ClassScores(2).result()
