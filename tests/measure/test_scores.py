"""Held-out scores against values worked out by hand, one and two processes."""

import math

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from tests.patience import PATIENCE
from tests.warm import forkserver

from loomlab.errors import InputError
from loomlab.measure.scores import Scores


def test_values_by_hand():
    scores = Scores(torch.tensor([3.0, 1.5, 9.0], dtype=torch.float64))
    # p(target) = 1/2, 1/4 and 1/4; the last two targets: one ignored, one not guessed
    probabilities = torch.tensor(
        [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.7, 0.2, 0.1], [0.125, 0.25, 0.625]]
    )
    scores.add(probabilities.log(), torch.tensor([0, 1, -100, 1]))
    result = scores.result()
    assert result["loss"] == pytest.approx(5 * math.log(2) / 3)
    assert result["perplexity"] == pytest.approx(2 ** (5 / 3))
    assert result["bits_per_byte"] == pytest.approx(5 / (3.0 + 1.5 + 1.5))
    assert result["accuracy"] == pytest.approx(1 / 3)


def test_batches_weigh_by_their_tokens_and_low_precision_logits_are_scored_in_fp32():
    torch.manual_seed(0)
    logits = torch.randn(50, 9).bfloat16()
    targets = torch.randint(0, 9, (50,))
    scores = Scores()
    scores.add(logits[:7].requires_grad_(), targets[:7])
    scores.add(logits[7:], targets[7:])
    scores.add_sums(torch.zeros(1, requires_grad=True).sum(), 0, 0, 0)
    assert not scores.sums.requires_grad, "no graph is kept from batch to batch"
    expected = F.cross_entropy(logits.double(), targets).item()
    assert scores.result()["loss"] == pytest.approx(expected, rel=1e-6)


def test_sums_can_be_added_as_tensors_or_numbers():
    scores = Scores()
    scores.add_sums(torch.tensor(3.0), torch.tensor(2), torch.tensor(1), torch.tensor(5.0))
    scores.add_sums(1.0, 2, 0, 3)
    assert scores.result()["loss"] == 1.0
    assert scores.result()["accuracy"] == 0.25
    assert scores.result()["bits_per_byte"] == pytest.approx(4 / math.log(2) / 8)


def test_many_small_terms_are_not_lost():
    scores = Scores()
    scores.add_sums(1e9, 10**9, 0, 0)
    for _ in range(1000):
        scores.add_sums(torch.tensor(0.01), *[torch.tensor(0)] * 3)
    assert scores.sums[0].item() == pytest.approx(1e9 + 10, abs=1e-3)


def test_a_huge_loss_has_infinite_perplexity():
    scores = Scores()
    scores.add_sums(1e5, 1, 0, 1)
    assert scores.result()["perplexity"] == math.inf


def test_tokens_without_text_have_no_bits_per_byte():
    scores = Scores(torch.zeros(3, dtype=torch.float64))
    scores.add(torch.zeros(2, 3), torch.tensor([1, 2]))
    assert scores.result()["bits_per_byte"] == math.inf


def test_nothing_scored_is_an_error():
    with pytest.raises(InputError, match="no held-out token"):
        Scores().reduce().result()


def _one_of_two(rank: int, file: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    scores = Scores()
    if rank == 0:
        scores.add_sums(torch.tensor(6.0), torch.tensor(3), torch.tensor(3), 9.0)
    else:
        scores.add_sums(torch.tensor(2.0), torch.tensor(1), torch.tensor(0), 7.0)
    result = scores.reduce().result()
    dist.destroy_process_group()
    assert (result["loss"], result["accuracy"]) == (2.0, 0.75)
    assert result["bits_per_byte"] == 8 / math.log(2) / 16


def test_two_processes_get_the_same_totals(tmp_path):
    both = [
        forkserver.Process(target=_one_of_two, args=(rank, str(tmp_path / "meet")), daemon=True)
        for rank in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(PATIENCE)
    assert [process.exitcode for process in both] == [0, 0]
