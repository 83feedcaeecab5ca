"""Scores of taggers: entities worked out by hand, macro F1 against scikit-learn."""

import pytest
import torch
from sklearn import metrics

from loomlab.measure.tag_scores import TagScores, are_entities

NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def logits(tags: list[int], labels: int = len(NAMES)) -> torch.Tensor:
    return 9.0 * torch.nn.functional.one_hot(torch.tensor(tags), labels)


def numbers(words: str) -> list[int]:
    return [NAMES.index(name) for name in words.split()]


def scored(truth: str, guess: str, rows: list[int] | None = None, strict: bool = False) -> dict:
    scores = TagScores(NAMES, strict)
    where = None if rows is None else torch.tensor(rows)
    scores.add(logits(numbers(guess)), torch.tensor(numbers(truth)), where)
    return scores.result()


def test_entities_by_hand():
    """There: PER 0-1, LOC 3, PER 5, PER 6. Said: PER 0-1, LOC 3-4, PER 5, LOC 6."""
    found = scored(
        "B-PER I-PER O B-LOC O B-PER B-PER",
        "B-PER I-PER O B-LOC I-LOC B-PER B-LOC",
    )
    assert found["precision"] == found["recall"] == found["f1"] == 2 / 4
    assert found["accuracy"] == pytest.approx(5 / 7)


def test_precision_and_recall_are_told_apart():
    found = scored("B-PER O O B-LOC", "B-PER B-LOC B-PER B-LOC")
    assert (found["precision"], found["recall"]) == (2 / 4, 2 / 2)
    assert found["f1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("truth", "guess", "lenient", "strict"),
    [
        ("B-PER I-PER O", "I-PER I-PER O", 1.0, 0.0),  # begins none, strictly
        ("B-PER I-PER O", "B-PER I-LOC O", 0.0, 0.0),  # too short either way
        ("B-PER O O", "B-PER I-LOC O", 2 / 3, 1.0),  # the other one is none, strictly
        ("B-PER I-PER B-PER", "B-PER I-PER I-PER", 0.0, 0.0),  # one, not two
        ("O O O", "O O O", 0.0, 0.0),  # nothing to find
    ],
)
def test_words_inside_that_follow_nothing(truth: str, guess: str, lenient: float, strict: float):
    assert scored(truth, guess)["f1"] == pytest.approx(lenient)
    assert scored(truth, guess, strict=True)["f1"] == pytest.approx(strict)


def test_entities_end_with_their_row():
    truth, guess = "O B-PER I-PER O", "O B-PER I-PER O"
    assert scored(truth, guess, [0, 0, 1, 1])["f1"] == 1
    scores = TagScores(NAMES)
    scores.add(logits(numbers(guess)), torch.tensor(numbers(truth)), torch.tensor([0, 0, 1, 1]))
    assert scores.sums[-3:].tolist() == [2, 2, 2]
    assert scored("B-PER I-PER", "B-PER O", [0, 0])["f1"] == 0
    assert scored("B-PER I-PER", "B-PER O", [0, 1])["recall"] == 1 / 2


def test_batches_add_up_in_any_cut():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 5, (12, 6), generator=generator)
    guess = (
        torch.randn(12, 6, 5, generator=generator)
        + logits(truth.flatten().tolist()).view(12, 6, 5) / 6
    )
    results = []
    for size in (1, 5, 12):
        scores = TagScores(NAMES)
        for rows, said in zip(truth.split(size), guess.split(size), strict=True):
            where = torch.arange(len(rows)).repeat_interleave(6)
            scores.add(said.flatten(0, 1), rows.flatten(), where)
        results.append(scores.result())
    assert all(found == pytest.approx(results[0]) for found in results)
    assert 0 < results[0]["f1"] < 1


def test_other_labels_are_averaged_as_scikit_learn_does():
    generator = torch.Generator().manual_seed(1)
    truth = torch.randint(0, 4, (80,), generator=generator)  # the fifth is neither there nor said
    said = torch.randn(80, 5, generator=generator)
    said[:, 4] = -9
    scores = TagScores(["DET", "NOUN", "VERB", "ADJ", "X"])
    scores.add(said, truth)
    found, guess = scores.result(), said.argmax(-1)
    for name in ("precision", "recall", "f1"):
        score = getattr(metrics, f"{name}_score")
        expected = score(truth, guess, average="macro", zero_division=0)
        assert found[name] == pytest.approx(expected), name
    assert found["matthews"] == pytest.approx(metrics.matthews_corrcoef(truth, guess))


def test_which_labels_mark_entities():
    assert are_entities(NAMES)
    assert not are_entities(["O"])
    assert not are_entities(["NOUN", "B-PER"])
    assert not are_entities(["O", "B-", "I-X"])


def test_bioes_is_scored_label_by_label():
    """E-X and S-X say where entities end, which nothing here looks for: no label is special."""
    names = ["O", "B-X", "I-X", "E-X", "S-X"]
    assert not are_entities(names)
    truth, guess = torch.tensor([1, 2, 3, 0, 4]), [1, 3, 3, 0, 4]
    scores = TagScores(names)
    scores.add(logits(guess), truth)
    expected = metrics.f1_score(truth, guess, average="macro")
    assert scores.result()["f1"] == pytest.approx(expected)


def test_a_batch_without_words_adds_nothing():
    scores = TagScores(NAMES)
    scores.add(torch.empty(0, 5), torch.empty(0, dtype=torch.int64), None)
    assert not scores.sums.any()
