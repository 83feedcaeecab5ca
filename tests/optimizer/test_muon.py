"""Muon: one optimizer that is exactly torch's Muon and torch's AdamW side by side."""

import copy
import io

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

from loomlab.errors import InputError
from loomlab.optimizer.muon import Muon, hidden_matrices


class Toy(nn.Module):
    """Embedding, two hidden matrices, a norm and an untied head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(11, 8)
        self.up = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8, bias=False)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 11, bias=False)

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, ids):
        x = self.table(ids)
        return self.head(self.norm(x + self.down(torch.relu(self.up(x)))))


IDS = torch.arange(11)
TARGETS = torch.roll(IDS, 1)


def _loss(model):
    return nn.functional.cross_entropy(model(IDS), TARGETS)


def _train(model, optimizers, steps, schedulers=()):
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = _loss(model)
        loss.backward()
        for each in (*optimizers, *schedulers):
            each.step()
        losses.append(loss.item())
    return losses


def _side_by_side(model):
    """The same two optimizers of torch, built by hand."""
    muon = torch.optim.Muon([model.up.weight, model.down.weight], lr=0.02, weight_decay=0.2)
    plain = [model.table.weight, model.up.bias, model.norm.weight, model.norm.bias]
    adamw = torch.optim.AdamW(
        [
            {"params": [model.head.weight], "weight_decay": 0.2},
            {"params": plain, "weight_decay": 0.0},
        ],
        lr=0.003,
        betas=(0.9, 0.95),
        fused=True,
    )
    return muon, adamw


def _ours(model):
    return Muon(lr=0.02, adamw_lr=0.003, weight_decay=0.2, model=model)


def test_equals_the_two_torch_optimizers_side_by_side_also_under_a_schedule():
    ours, theirs = Toy(), Toy()
    optimizer, parts = _ours(ours), _side_by_side(theirs)

    def decay(step):
        return 1 / (1 + step)

    mine = _train(ours, [optimizer], 10, [LambdaLR(optimizer, decay)])
    other = _train(theirs, parts, 10, [LambdaLR(part, decay) for part in parts])
    assert mine == other
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


def test_groups_keep_their_own_base_rate_and_hold_each_parameter_once():
    model = Toy()
    optimizer = _ours(model)
    assert [g["lr"] for g in optimizer.param_groups] == [0.02, 0.003, 0.003]
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.2, 0.2, 0.0]
    held = [id(p) for g in optimizer.param_groups for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_a_table_tied_to_the_head_is_no_hidden_matrix():
    model = Toy()
    model.head.weight = model.table.weight
    assert {id(p) for p in hidden_matrices(model)} == {id(model.up.weight), id(model.down.weight)}
    held = [id(p) for g in _ours(model).param_groups for p in g["params"]]
    assert len(held) == len(set(held)) == 6


def test_resumes_exactly_from_a_saved_file():
    model = Toy()
    optimizer = _ours(model)
    _train(model, [optimizer], 4)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    resumed = copy.deepcopy(model)
    second = _ours(resumed)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert _train(model, [optimizer], 4) == _train(resumed, [second], 4)
    assert set(map(id, second.state)) == set(map(id, resumed.parameters()))


def test_reduces_the_loss_and_works_with_adapters_only():
    model = Toy()
    losses = _train(model, [_ours(model)], 60)
    assert losses[-1] < 0.5 * losses[0]
    model.requires_grad_(False)
    model.up.weight.requires_grad_(True)
    assert len(_ours(model).param_groups) == 1


def test_a_model_without_hidden_matrices_is_refused():
    model = Toy()
    model.up.requires_grad_(False)
    model.down.requires_grad_(False)
    with pytest.raises(InputError, match="optimizer=adamw"):
        Muon(model=model)


class Wrapped(pl.LightningModule):
    """Automatic optimization: Lightning calls step with a closure."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Toy()
        self.losses = []

    def training_step(self, batch, _):
        loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self):
        optimizer = _ours(self.model)
        schedule = {"scheduler": LambdaLR(optimizer, lambda s: 1 / (1 + s)), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}


def test_trains_under_lightning_with_clipping_and_equals_a_plain_loop(tmp_path):
    module = Wrapped()
    trainer = pl.Trainer(
        max_epochs=5,
        accelerator="cpu",
        gradient_clip_val=0.1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader(TensorDataset(IDS, TARGETS), batch_size=11))
    model = Toy()
    optimizer = _ours(model)
    schedule = LambdaLR(optimizer, lambda s: 1 / (1 + s))
    for expected in module.losses:
        model.zero_grad()
        loss = _loss(model)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        schedule.step()
        assert loss.item() == expected
    assert len(module.losses) == 5
