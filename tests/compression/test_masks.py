"""Masks worked out by hand, and held whatever the optimizer does."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from loomlab.allow import resolve
from loomlab.catalog.options import Catalog
from loomlab.catalog.search import package_conf
from loomlab.compression.masks import (
    KeepMasks,
    drop_smallest,
    drop_smallest_of_rows,
    keep_n_of_m,
    n_of_m,
)
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig

CATALOG = Catalog([package_conf()])
SCORES = torch.tensor([[1.0, 9.0, 3.0, 4.0, 5.0, 6.0, 8.0, 7.0], [8.0, 1, 2, 3, 0, 0, 0, 0]])


def test_two_of_four_by_hand():
    kept = torch.tensor([[0, 1, 0, 1, 0, 0, 1, 1], [1, 0, 0, 1, 0, 0, 1, 1]]).bool()
    assert torch.equal(keep_n_of_m(SCORES, 2, 4), kept)
    assert keep_n_of_m(SCORES, 1, 8).sum(1).tolist() == [1, 1]


def test_the_share_is_exact_also_among_equals():
    assert drop_smallest(torch.ones(10, 10), 0.5).sum() == 50
    assert drop_smallest(torch.ones(3, 3), 0.5).sum() == 9 - round(4.5)
    by_row = drop_smallest_of_rows(SCORES, 0.5)
    assert by_row.tolist()[0] == [False, True, False, False, False, True, True, True]
    assert by_row.sum(1).tolist() == [4, 4]


@pytest.mark.parametrize("pattern", ["2-4", "4:4", "0:4", "x"])
def test_what_is_no_pattern_is_refused(pattern: str):
    with pytest.raises(InputError, match=r"prune_wanda\.pattern.*2:4"):
        n_of_m(pattern, {}, "prune_wanda")


def test_a_layer_the_pattern_does_not_divide_is_named():
    with pytest.raises(InputError, match=r"mlp\.out has 6 inputs"):
        n_of_m("2:4", {"a": nn.Linear(8, 2), "mlp.out": nn.Linear(6, 2)}, "prune_wanda")


@pytest.mark.parametrize("option", CATALOG.options["optimizer"])
def test_every_optimizer_leaves_what_was_pruned_at_zero(option: str):
    torch.manual_seed(0)
    model = GPTConfig(layers=1, width=16, heads=2, vocab_size=50).build("causal_lm")
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear) and ".0." in n}
    masks = {n: drop_smallest(m.weight.detach().abs(), 0.5) for n, m in layers.items()}
    assert len(masks) == 4
    keeper, run = KeepMasks(masks), SimpleNamespace(model=model)
    keeper.on_train_start(None, run)
    before = {n: m.weight.detach().clone() for n, m in layers.items()}
    source = CATALOG.source("optimizer", option)
    assert source is not None
    optimizer = resolve(source.origin, option)(model=model)
    ids = torch.randint(2, 50, (4, 12))
    for _ in range(3):
        model(input_ids=ids, labels=ids).loss.backward()
        keeper.on_before_optimizer_step(None, run, optimizer)
        optimizer.step()
        keeper.on_train_batch_end(None, run)
        optimizer.zero_grad()
    for name, layer in layers.items():
        assert torch.equal(layer.weight == 0, ~masks[name])
        assert not torch.equal(layer.weight, before[name])
