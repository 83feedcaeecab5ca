"""Movement pruning: scores by the published sum, exact masks, and an exact resume."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from loomlab.compression.prune_movement import Masked, Moving, PruneMovement
from loomlab.errors import InputError
from loomlab.run.folder import RunFolder

GIVEN = [
    *("model.layers=1", "model.width=16", "model.heads=2", "compression=[prune_movement]"),
    *("callbacks=[checkpoint]", "scheduler=constant"),
]


def test_an_answer_is_of_the_masked_weight_and_its_gradient_whole():
    torch.manual_seed(0)
    x, plain, layer = torch.randn(5, 4), nn.Linear(4, 3), nn.Linear(4, 3)
    layer.load_state_dict(plain.state_dict())
    Masked.turn(layer)
    layer.get_buffer("mask")[0, 1] = False
    with torch.no_grad():
        plain.weight[0, 1] = 0
    for one in (plain, layer):
        one(x).square().sum().backward()
    torch.testing.assert_close(layer(x), plain(x))
    torch.testing.assert_close(layer.weight.grad, plain.weight.grad)
    assert layer.weight.grad[0, 1] != 0
    assert layer.state_dict().keys() == plain.state_dict().keys()
    Masked.back(layer)
    assert type(layer) is nn.Linear
    assert not list(layer.buffers())


def test_scores_are_the_sum_of_the_paper():
    """Weights that move away from zero gain, those that move towards it lose."""
    keeper, weight = Moving(PruneMovement(), ["a"]), torch.tensor([1.0, -2.0, 3.0])
    for gradient in (torch.tensor([-1.0, 1.0, 1.0]), torch.tensor([0.0, 1.0, 2.0])):
        keeper._move("a", gradient * weight, 0.1)
    torch.testing.assert_close(keeper.scores["a"], torch.tensor([1.0, 4.0, -9.0]))


def test_soft_scores_move_by_the_usual_gradient_and_are_pulled_down():
    option = PruneMovement(kind="soft", score_rate=0.5)
    keeper, gradient = Moving(option, ["a"]), torch.tensor([3.0, -3.0, 3.0])
    keeper._move("a", gradient, 0.0)
    torch.testing.assert_close(keeper.scores["a"], torch.tensor([-0.5, 0.5, -0.5]))
    keeper._move("a", torch.zeros(3), 0.1)
    slope = torch.tensor(0.5).sigmoid() * torch.tensor(-0.5).sigmoid()
    made = torch.tensor([-0.5, 0.5, -0.5]) - 0.05 * slope
    torch.testing.assert_close(keeper.scores["a"], made)


def test_an_end_before_the_start_is_refused():
    with pytest.raises(InputError, match=r"prune_movement\.end"):
        PruneMovement(start=0.5, end=0.5)


def test_without_training_it_is_refused():
    model = nn.Sequential(nn.Linear(3, 3))
    option = PruneMovement()
    with pytest.raises(InputError, match="acts through training"):
        option.finalize(option.transform(model))


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        ["compression.prune_movement.kind=soft", "optimizer=schedule_free"],
        ["compression.prune_movement.scope=global", "optimizer=muon",
         "compression=[prune_movement,quantize_int8]"],
    ],
)  # fmt: skip
def test_zeros_are_exact_whatever_trains(train: Callable[..., RunFolder], more: list[str]):
    summary = train(*GIVEN, "budget.steps=4", *more).summary()
    assert summary["compression"]["PruneMovement"]["sparsity"] == 0.5
    after = summary["compressed"]["after"]
    assert after["parameters"] - after["non_zeros"] >= 0.5 * 16 * 16 * 12


def test_a_resume_in_the_middle_equals_the_unbroken_run(
    train: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
):
    whole = train(*GIVEN, "budget.steps=10", folder="whole")
    monkeypatch.setattr("loomlab.compression.prune_movement._steps", lambda _: 10)
    part = train(*GIVEN, "budget.steps=4", folder="part")
    state = torch.load(part.checkpoints / "last.ckpt", weights_only=True)
    (kept,) = [v for k, v in state["callbacks"].items() if k.startswith("Moving")]
    assert kept["scores"]
    assert not kept["done"]
    again = train(*GIVEN, "budget.steps=10", f"resume={part.path}", folder="part")
    one, other = (load_file(f.model / "model.safetensors") for f in (whole, again))
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert again.summary()["compression"]["PruneMovement"]["sparsity"] == 0.5
