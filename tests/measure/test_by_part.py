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
    assert scores.result() == plain.result()


def test_parts_weigh_by_what_they_score():
    table = torch.ones(2, dtype=torch.float64)
    scores = ScoresByPart(Scores, {"a": table, "b": 4 * table, "unread": table})
    scores.of("a").add_sums(nll=3 * math.log(2), count=3, correct=3, size=6)
    scores.of("b").add_sums(nll=1 * math.log(2) * 5, count=1, correct=0, size=4)
    scores.reduce()
    result = scores.result()
    assert result["loss"] == pytest.approx(2 * math.log(2))
    assert result["bits_per_byte"] == pytest.approx(8 / 10)
    assert result["accuracy"] == 0.75
    assert result["a/bits_per_byte"] == pytest.approx(1 / 2)
    assert result["b/bits_per_byte"] == pytest.approx(5 / 4)
    assert result["b/accuracy"] == 0.0
    scores.of("b").add(torch.zeros(1, 2), torch.tensor([1]))
    assert scores.of("b").sums[3] == 4 + 4
    assert not any(name.startswith("unread") for name in result)
    with pytest.raises(InputError, match="no held-out token was scored"):
        ScoresByPart(Scores, {"a": table}).result()
