"""Layers train from the head down, at their time; what rests is left to the bit, also resumed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.marks import fast_slow_soak
from torch import nn

from loomlab.compose.gate import check
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.optimizer.adamw import AdamW
from loomlab.regularization.gradual_unfreezing import GradualUnfreezing
from loomlab.run.folder import RunFolder
from loomlab.scheduler.context import ScheduleContext

Train = Callable[..., RunFolder]
SIZES = {"layers": 2, "width": 16, "heads": 2, "vocab_size": 32, "context_length": 8}
RUN = [
    *("model.layers=2", "model.width=16", "model.heads=2", "model.tied=false"),
    *("callbacks=[checkpoint]", "scheduler=constant", "trainer.val_every_n_steps=2"),
]
WITH = ["regularization=[gradual_unfreezing]", "regularization.gradual_unfreezing.over=3"]


class Told:
    """What a callback asks of a trainer or an objective."""

    def __init__(self, **told: Any) -> None:
        self.__dict__ |= told


def moved(over: float, steps: int) -> list[set[str]]:
    """The parts of a model that each step of a run moves."""
    torch.manual_seed(0)
    model = GPTConfig(tied=False, **SIZES).build("causal_lm")
    optimizer, x = AdamW(weight_decay=0.5, model=model), torch.arange(8)[None]
    objective = Told(model=model, context=ScheduleContext.fixed(steps, 8))
    (callback,) = GradualUnfreezing(over=over).callbacks()
    found = []
    for step in range(steps):
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        model(x, labels=x).loss.backward()
        callback.on_before_optimizer_step(Told(global_step=step), objective, optimizer)  # type: ignore[arg-type]
        optimizer.step()
        optimizer.zero_grad()
        names = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
        found.append({".".join(n.removeprefix("transformer.").split(".")[:2]) for n in names})
    return found


HEAD = {"norm.weight", "norm.bias", "lm_head.weight"}
LAST, FIRST = HEAD | {"layers.1"}, HEAD | {"layers.1", "layers.0"}
ALL = FIRST | {"embedding.weight", "position.table"}


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        (3, [HEAD, LAST, FIRST, ALL, ALL, ALL, ALL, ALL]),
        (0.75, [HEAD, HEAD, LAST, LAST, FIRST, FIRST, ALL, ALL]),
        (1, [HEAD, ALL, ALL, ALL, ALL, ALL, ALL, ALL]),
    ],
    ids=["steps", "fraction", "at_once"],
)
def test_layers_begin_in_turn_from_the_last_to_the_embeddings(over, expected):
    assert moved(over, 8) == expected


def test_a_longer_run_takes_no_layer_back():
    model = GPTConfig(tied=False, **SIZES).build("causal_lm")
    (callback,) = GradualUnfreezing(over=0.5).callbacks()
    for total, begun in ((6, 2), (600, 2)):
        objective = Told(model=model, context=ScheduleContext.fixed(total, 8))
        callback.on_before_optimizer_step(Told(global_step=2), objective, None)  # type: ignore[arg-type]
        assert callback.state_dict() == {"begun": begun}
        (again,) = GradualUnfreezing(over=0.5).callbacks()
        again.load_state_dict(callback.state_dict())
        callback = again


@pytest.mark.parametrize(
    "optimizer",
    fast_slow_soak(["adamw", "muon", "schedule_free", "adafactor", "lion"], fast=["adamw"]),
)
def test_it_resumes_exactly(train: Train, optimizer: str):
    """Stopped while a layer rests, which therefore has no state in the checkpoint."""
    given = [*RUN, *WITH, f"optimizer={optimizer}"]
    straight = train(*given, "budget.steps=4", folder="straight")
    folder = train(*given, "budget.steps=3")
    train(*given, "budget.steps=4", f"resume={folder.path}")
    ends = [torch.load(f.checkpoints / "last.ckpt", weights_only=True) for f in (straight, folder)]
    for key, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][key]), key


def test_a_model_without_layers_is_refused():
    with pytest.raises(InputError, match="Linear has no numbered layers"):
        GradualUnfreezing().transform(nn.Linear(2, 2))


def test_the_gate_refuses_a_time_longer_than_the_run():
    (problem,) = check([*RUN, *WITH, "budget.steps=2"]).problems[0]
    assert "over: 3 steps are more than the 2 steps" in f"{problem.path}: {problem}"
