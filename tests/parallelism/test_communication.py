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
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

WIDTH = 64
NUMBERS = WIDTH * WIDTH + WIDTH


@pytest.fixture
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


@pytest.mark.usefixtures("group")
def test_plain_gradients_are_counted_where_they_are_averaged():
    gradients, model, sent = steps(Gradients, 3)
    assert sent == [4 * NUMBERS * n for n in (1, 2, 3)]
    with model.no_sync():
        model(torch.randn(8, WIDTH)).sum().backward()
        gradients.after_backward(model)
    assert gradients.traffic.sent == sent[-1], "micro-steps that accumulate send nothing"
    assert gradients.calls == 0


@pytest.mark.usefixtures("group")
def test_half_the_bytes_and_nearly_the_same_gradients():
    _, plain, _ = steps(Gradients, 2)
    gradients, model, sent = steps(HalfGradients, 2)
    assert gradients.calls == 2
    assert sent == [2 * NUMBERS * n for n in (1, 2)]
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert not torch.equal(one.grad, other.grad), "they went through 16 bits"
        torch.testing.assert_close(one.grad, other.grad, rtol=2e-3, atol=1e-6)


@pytest.mark.usefixtures("group")
def test_low_rank_gradients_send_two_thin_matrices():
    rank, start = 2, 3
    gradients, model, sent = steps(lambda traffic: LowRankGradients(traffic, rank, start), 5)
    whole, thin = 4 * NUMBERS, 4 * (2 * rank * WIDTH + WIDTH)
    assert [b - a for a, b in zip([0, *sent], sent, strict=False)] == [whole] * start + [thin] * 2
    assert gradients.calls == 5
    assert int(torch.linalg.matrix_rank(model.module.weight.grad, rtol=1e-4)) == rank


@pytest.mark.usefixtures("group")
def test_report():
    traffic = Traffic("fp16")
    traffic.sent, traffic.tokens, traffic.processes = 600, 100, 2
    assert traffic.report() == {
        "communication": "fp16", "bytes_sent": 600, "bytes_sent_per_token": 12.0
    }  # fmt: skip
    resumed = Traffic("fp16")
    resumed.load_state_dict(traffic.state_dict())
    assert resumed.sent == 600


@pytest.mark.usefixtures("group")
def test_values_of_all_processes():
    assert on_rank_zero({"a": torch.ones(2)})[0]["a"].tolist() == [1, 1]


Train = Callable[..., RunFolder]
SMALL = ["model.layers=2", "model.width=16", "model.heads=2", "runtime=plain"]
PAIR = ["parallelism=ddp", "parallelism.devices=2"]


@pytest.mark.slow
@pytest.mark.usefixtures("warm_ranks")
def test_fewer_bytes_and_nearly_the_same_losses(train: Train):
    steps = ["budget.steps=8", "trainer.val_every_n_steps=8", "model.width=32"]
    alone = train(*SMALL, *steps, folder="alone")
    sent = {}
    for way, off in {"fp16": 1e-3, "power_sgd": 0.2}.items():
        more = [f"parallelism.communication={way}", "parallelism.power_sgd_start=2"]
        pair = train(*SMALL, *steps, *PAIR, *more, folder=way)
        rows, others = read_metrics(alone.metrics), read_metrics(pair.metrics)
        for row, other in zip(rows, others, strict=True):
            assert other["train/loss"] == pytest.approx(row["train/loss"], abs=off)
        assert others[-1]["train/loss"] < others[0]["train/loss"]
        report = pair.summary()["reports"]["Traffic"]
        assert report["communication"] == way
        sent[way] = report["bytes_sent"]
    summary = pair.summary()
    plain = 4 * summary["steps"] * summary["parameters"]
    assert sent["fp16"] == plain / 2
    assert sent["power_sgd"] < plain
    assert report["bytes_sent_per_token"] == pytest.approx(
        2 * sent["power_sgd"] / summary["tokens"], abs=1e-3
    )


@pytest.mark.soak
@pytest.mark.usefixtures("warm_ranks")
def test_messages_of_several_buckets_do_not_overtake_each_other(train: Train):
    """Weights of 19 MB, which DDP sends in buckets of 1 MB and more."""
    more = ["parallelism.communication=power_sgd", "parallelism.power_sgd_start=2"]
    large = ["model.width=256", "model.layers=6", "budget.steps=40", "global_batch_size=4"]
    run = train(*SMALL, *PAIR, *more, *large)
    assert run.summary()["parameters"] * 4 > 2 * 2**20
    rows = read_metrics(run.metrics)
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]
