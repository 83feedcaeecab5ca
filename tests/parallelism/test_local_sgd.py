"""Outer steps: those of ddp where nothing is left of them, and an exact way back to a round."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from tests.warm import forkserver
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from loomlab.parallelism.communication import Traffic
from loomlab.parallelism.local_sgd import LocalSGD, Rounds, trained_weights
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
pytestmark = pytest.mark.usefixtures("warm_ranks")
STEPS, WIDTH = 6, 8


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1))


def loss(net: nn.Module, rank: int, step: int) -> torch.Tensor:
    inputs = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(10 * step + rank))
    return (net(inputs) - inputs.sum(1, keepdim=True)).square().mean()


def train(
    net: nn.Module, optimizer: torch.optim.Optimizer, rank: int, steps: range,
    rounds: Rounds | None,
) -> None:  # fmt: skip
    for step in steps:
        optimizer.zero_grad()
        loss(net, rank, step).backward()
        optimizer.step()
        if rounds is not None and (step + 1) % rounds.every == 0:
            rounds.step()


def weights(net: nn.Module) -> dict[str, torch.Tensor]:
    return {k: w.detach().clone() for k, w in trained_weights(net).items()}


def begun(rounds: Rounds, kind: type = torch.optim.SGD) -> tuple[nn.Module, Any]:
    net = model()
    optimizer = kind(net.parameters(), lr=0.05)
    rounds.begin(net, optimizer)
    return net, optimizer


def one_of_two(rank: int, folder: str, port: int) -> None:
    """A process that trains in each way and writes what it found."""
    torch.set_num_threads(1)
    meet = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=2)
    found: dict[str, Any] = {}
    averaged = DistributedDataParallel(model())
    train(averaged, torch.optim.SGD(averaged.parameters(), lr=0.05), rank, range(STEPS), None)
    found["ddp"] = weights(averaged.module)

    each = Rounds(1, 1.0, 0.0, Traffic("test"))
    net, optimizer = begun(each)
    train(net, optimizer, rank, range(STEPS), each)
    found["every step"], found["bytes"] = weights(net), each.traffic.sent

    whole = Rounds(3, 0.7, 0.9, Traffic("test"))
    net, optimizer = begun(whole, torch.optim.AdamW)
    train(net, optimizer, rank, range(4), whole)
    own = weights(net)
    whole.show_mean()
    found["own"], found["mean"] = own, weights(net)
    saved = whole.state_dict()
    whole.show_own()
    assert all(torch.equal(own[k], w) for k, w in weights(net).items())
    if rank == 0:
        torch.save(saved, f"{folder}/saved.pt")
    dist.barrier()
    train(net, optimizer, rank, range(4, STEPS), whole)
    found["unbroken"] = weights(net)

    again = Rounds(3, 0.7, 0.9, Traffic("test"))
    again.load_state_dict(torch.load(f"{folder}/saved.pt", weights_only=True))
    net, optimizer = begun(again, torch.optim.AdamW)
    train(net, optimizer, rank, range(4, STEPS), again)
    found["resumed"] = weights(net)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two real processes found."""
    folder = tmp_path_factory.mktemp("pair")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    processes = [
        forkserver.Process(target=one_of_two, args=(r, str(folder), port)) for r in (0, 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], off: float = 0.0) -> None:
    for key, value in one.items():
        torch.testing.assert_close(other[key], value, rtol=0, atol=off)


def test_an_outer_step_after_every_inner_one_is_ddp(pair: list[dict[str, Any]]):
    for found in pair:
        same(found["ddp"], found["every step"], off=1e-6)
    numbers = sum(p.numel() for p in model().parameters())
    assert pair[0]["bytes"] == STEPS * 4 * numbers


def test_processes_go_apart_and_the_mean_is_shown(pair: list[dict[str, Any]]):
    first, second = pair
    assert not torch.equal(first["own"]["0.weight"], second["own"]["0.weight"])
    same({k: (w + second["own"][k]) / 2 for k, w in first["own"].items()}, first["mean"], 1e-7)
    same(first["mean"], second["mean"])
    same(first["unbroken"], second["unbroken"])


def test_a_round_is_taken_up_in_its_middle(pair: list[dict[str, Any]]):
    """Each process has its weights and its own optimizer again."""
    for found in pair:
        same(found["unbroken"], found["resumed"])


def test_outer_step_is_nesterov_momentum_on_the_change():
    """By hand, for one process: v = mu v + d; anchor -= lr (d + mu v)."""
    rounds = Rounds(2, 0.7, 0.9, Traffic("test"))
    net, optimizer = begun(rounds)
    anchor = weights(net)
    velocity = {k: torch.zeros_like(w) for k, w in anchor.items()}
    for end in (2, 4):
        train(net, optimizer, 0, range(end - 2, end - 1), None)
        optimizer.zero_grad()
        loss(net, 0, end - 1).backward()
        optimizer.step()
        change = {k: anchor[k] - w for k, w in weights(net).items()}
        rounds.step()
        velocity = {k: 0.9 * v + change[k] for k, v in velocity.items()}
        anchor = {k: a - 0.7 * (change[k] + 0.9 * velocity[k]) for k, a in anchor.items()}
        same(anchor, weights(net), off=1e-6)
    assert rounds.traffic.sent == 0, "one process sends nothing"


def test_another_number_of_processes_starts_from_the_mean():
    rounds = Rounds(2, 0.7, 0.9, Traffic("test"))
    net, optimizer = begun(rounds)
    train(net, optimizer, 0, range(3), rounds)
    saved = rounds.state_dict()
    saved["processes"] = saved["processes"] * 2
    other = Rounds(2, 0.7, 0.9, Traffic("test"))
    other.load_state_dict(saved)
    fresh, _ = begun(other)
    same(weights(model()), weights(fresh))
    same(rounds.anchor, other.anchor)


def test_settings():
    option = LocalSGD(devices=3, sync_every=7)
    assert (option.world_size, option.shares, option.rounds.every) == (3, 3, 7)
    assert [type(c).__name__ for c in option.callbacks()] == ["Rounds", "Traffic"]


@pytest.mark.slow
def test_a_run_resumes_and_saves_the_mean(train: Train, tmp_path: Path):
    more = [
        "model.layers=1", "model.width=16", "model.heads=2", "runtime=plain", "scheduler=constant",
        "parallelism=local_sgd", "parallelism.sync_every=3", "callbacks=[checkpoint]",
        "trainer.val_every_n_steps=2",
    ]  # fmt: skip
    train(*more, "budget.steps=4", folder="run")
    resumed = train(*more, "budget.steps=6", f"resume={tmp_path / 'run'}", folder="run")
    whole = train(*more, "budget.steps=6", folder="whole")
    rows, others = (
        [(row["step"], row["train/loss"], row.get("val/loss")) for row in read_metrics(f.metrics)]
        for f in (resumed, whole)
    )
    assert rows == others
    best = load_file(whole.model / "model.safetensors")
    state = torch.load(whole.checkpoints / "best.ckpt", weights_only=True)["state_dict"]
    assert any(torch.equal(best[k], state[f"model.{k}"]) for k in best)
    report = whole.summary()["reports"]["Traffic"]
    assert report["communication"] == "local_sgd"
    assert report["bytes_sent"] > 0
