"""Schedule-free AdamW: the paper's three sequences, and which of them a run answers with."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer.schedule_free import ScheduleFree
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
RUN = [
    "model.layers=1", "model.width=16", "model.heads=2", "callbacks=[checkpoint]",
    "optimizer=schedule_free", "optimizer.lr=0.02", "scheduler=constant",
    "trainer.val_every_n_steps=4",
]  # fmt: skip
WHOLE = [*RUN, "budget.steps=8"]


def test_three_sequences_by_hand():
    """z takes the steps, x averages it, the gradient is taken at y (equations 2 to 4)."""
    weight = nn.Linear(1, 1, bias=False)
    nn.init.constant_(weight.weight, 1.0)
    optimizer = ScheduleFree(lr=0.1, betas=[0.9, 0.5], eps=1e-12, weight_decay=0.0, model=weight)
    x = y = z = 1.0
    moment = 0.0
    for step in range(1, 6):
        optimizer.zero_grad()
        weight(torch.ones(1, 1)).square().sum().backward()
        gradient = 2 * y
        moment = 0.5 * moment + 0.5 * gradient**2
        optimizer.step()
        z -= 0.1 * gradient / (moment / (1 - 0.5**step)) ** 0.5
        x += (z - x) / step
        y = 0.1 * z + 0.9 * x
        assert weight.weight.item() == pytest.approx(y, rel=1e-5)
    optimizer.eval()
    assert weight.weight.item() == pytest.approx(x, rel=1e-5)


def held_out(folder: RunFolder) -> list[float]:
    return [r["val/loss"] for r in read_metrics(folder.metrics) if "val/loss" in r]


def test_a_run_answers_with_the_average(train_once: Train):
    """Held-out numbers, best checkpoint and saved model are of one kind; the last is not y."""
    folder = train_once(*WHOLE)
    state = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)
    groups = state["optimizer_states"][0]["param_groups"]
    assert not any(group["train_mode"] for group in groups)
    assert folder.summary()["best"]["val/loss"] == pytest.approx(min(held_out(folder)), rel=1e-6)
    saved = load_file(folder.model / "model.safetensors")
    best = torch.load(folder.checkpoints / "best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(best[f"model.{k}"], v) for k, v in saved.items())


def test_without_a_best_checkpoint_the_last_average_is_saved(train: Train):
    folder = train(*WHOLE, "callbacks=[]")
    assert folder.summary()["best"]["val/loss"] == pytest.approx(held_out(folder)[-1], rel=1e-6)


@pytest.mark.parametrize("every", ["null", "3"])
def test_resumes_exactly(train: Train, train_once: Train, every: str):
    """From a state in either mode: after a validation, or in the middle of training."""
    saving = f"callbacks.checkpoint.every_n_train_steps={every}"
    stop = 4 if every == "null" else 3
    straight = train_once(*WHOLE)
    folder = train(*RUN, f"budget.steps={stop}", saving, "trainer.val_every_n_steps=4")
    train(*WHOLE, saving, f"resume={folder.path}")
    ends = [torch.load(f.checkpoints / "last.ckpt", weights_only=True) for f in (straight, folder)]
    for key, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][key]), key


def test_looking_does_not_change_training(train: Train, train_once: Train):
    """However often it validates."""
    often = train(*WHOLE, "trainer.val_every_n_steps=1")
    seldom = train_once(*WHOLE)
    ends = [torch.load(f.checkpoints / "last.ckpt", weights_only=True) for f in (often, seldom)]
    for key, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][key]), key


def test_bad_betas_are_refused():
    with pytest.raises(InputError, match=r"optimizer\.betas"):
        ScheduleFree(betas=[0.0, 0.9], model=nn.Linear(1, 1))
