"""The hooks are called, and what they count is what travels."""

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from loomlab.parallelism.communication import (
    Gradients,
    HalfGradients,
    LowRankGradients,
    Traffic,
    on_rank_zero,
)

WIDTH = 64
NUMBERS = WIDTH * WIDTH + WIDTH


@pytest.fixture(autouse=True)
def group() -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def steps(way: Callable[[Traffic], Gradients], count: int) -> tuple[Gradients, nn.Module, list]:
    """Some backward passes of a small layer, and the bytes after each."""
    torch.manual_seed(0)
    gradients = way(Traffic("test"))
    model = DistributedDataParallel(nn.Linear(WIDTH, WIDTH))
    gradients.attach(model)
    sent = []
    for _ in range(count):
        model.zero_grad()
        model(torch.randn(8, WIDTH)).square().mean().backward()
        gradients.after_backward(model)
        sent.append(gradients.traffic.sent)
    return gradients, model, sent


def test_plain_gradients_are_counted_where_they_are_averaged():
    gradients, model, sent = steps(Gradients, 3)
    assert sent == [4 * NUMBERS * n for n in (1, 2, 3)]
    with model.no_sync():
        model(torch.randn(8, WIDTH)).sum().backward()
        gradients.after_backward(model)
    assert gradients.traffic.sent == sent[-1], "micro-steps that accumulate send nothing"
    assert gradients.calls == 0


def test_half_the_bytes_and_nearly_the_same_gradients():
    _, plain, _ = steps(Gradients, 2)
    gradients, model, sent = steps(HalfGradients, 2)
    assert gradients.calls == 2
    assert sent == [2 * NUMBERS * n for n in (1, 2)]
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert not torch.equal(one.grad, other.grad), "they went through 16 bits"
        torch.testing.assert_close(one.grad, other.grad, rtol=2e-3, atol=1e-6)


def test_low_rank_gradients_send_two_thin_matrices():
    rank, start = 2, 3
    gradients, model, sent = steps(lambda traffic: LowRankGradients(traffic, rank, start), 5)
    whole, thin = 4 * NUMBERS, 4 * (2 * rank * WIDTH + WIDTH)
    assert [b - a for a, b in zip([0, *sent], sent, strict=False)] == [whole] * start + [thin] * 2
    assert gradients.calls == 5
    assert int(torch.linalg.matrix_rank(model.module.weight.grad, rtol=1e-4)) == rank


def test_report():
    traffic = Traffic("fp16")
    traffic.sent, traffic.tokens, traffic.processes = 600, 100, 2
    assert traffic.report() == {
        "communication": "fp16", "bytes_sent": 600, "bytes_sent_per_token": 12.0
    }  # fmt: skip
    resumed = Traffic("fp16")
    resumed.load_state_dict(traffic.state_dict())
    assert resumed.sent == 600


def test_values_of_all_processes():
    assert on_rank_zero({"a": torch.ones(2)})[0]["a"].tolist() == [1, 1]
