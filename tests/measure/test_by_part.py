"""Numbers of parts, and of the whole, which is their sum and not the mean of their means."""

import math

import pytest
import torch

from loomlab.errors import InputError
from loomlab.measure.by_part import ScoresByPart
from loomlab.measure.scores import Scores


def test_a_text_without_parts():
    scores, plain = ScoresByPart(Scores, {}), Scores()
    torch.manual_seed(0)
    logits, targets = torch.randn(9, 4), torch.randint(0, 4, (9,))
    for one in (scores.of(""), plain):
        one.add(logits, targets)
    assert scores.result(2.0) == plain.result(2.0)


def test_parts_weigh_by_what_they_score():
    scores = ScoresByPart(Scores, {"a": 2.0, "b": 4.0, "unread": 1.0})
    scores.of("a").add_sums(nll=3 * math.log(2), count=3, correct=3)
    scores.of("b").add_sums(nll=1 * math.log(2) * 5, count=1, correct=0)
    scores.reduce()
    result = scores.result(2.5)
    assert result["loss"] == pytest.approx(2 * math.log(2))
    assert result["bits_per_byte"] == pytest.approx(2 / 2.5)
    assert result["accuracy"] == 0.75
    assert result["a/bits_per_byte"] == pytest.approx(1 / 2)
    assert result["b/bits_per_byte"] == pytest.approx(5 / 4)
    assert result["b/accuracy"] == 0.0
    assert not any(name.startswith("unread") for name in result)
    with pytest.raises(InputError, match="no held-out token was scored"):
        ScoresByPart(Scores, {"a": 1.0}).result(1.0)
