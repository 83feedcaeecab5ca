"""Wanda: the score by hand, and exact sparsity of a trained model."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from loomlab.compression.prune_wanda import PruneWanda
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.run.folder import RunFolder

SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]


def test_the_score_by_hand():
    layer = nn.Linear(4, 2, bias=False)
    layer.weight.data = torch.tensor([[1.0, -2.0, 3.0, -4.0], [4.0, 3.0, 2.0, 1.0]])
    x = torch.tensor([[3.0, 0.0, 0.0, 1.0], [4.0, 0.1, 1.0, 0.0]])  # norms 5, 0.1, 1, 1
    technique = PruneWanda(sparsity=0.5)
    # scores 5, 0.2, 3, 4 and 20, 0.3, 2, 1
    sparse = torch.tensor([[1.0, 0.0, 0.0, -4.0], [4.0, 0.0, 2.0, 0.0]])
    assert torch.equal(technique.sparse(layer, x.T @ x), sparse)


def test_it_looks_at_the_inputs_each_layer_really_gets():
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
    model = GPTConfig(layers=2, width=16, heads=2, **sizes).build("causal_lm").eval()
    batch = {"input_ids": torch.randint(2, 50, (4, 24))}
    technique = PruneWanda(rows=3, targets=["layers.0.*.qkv"])
    technique.calibrate(iter([batch, batch]))
    assert len(technique._batches[0]["input_ids"]) == 3
    seen = []
    (layer,) = technique.layers(model).values()
    before = layer.weight.detach().clone()
    hook = layer.register_forward_pre_hook(lambda m, x: seen.append(x[0].flatten(0, -2)))
    model(input_ids=batch["input_ids"][:3])
    hook.remove()
    technique.finalize(model)
    scores = before.abs() * seen[0].norm(dim=0)
    dropped = layer.weight == 0
    assert dropped.sum(1).tolist() == [8] * len(before)
    for row, gone in zip(scores, dropped, strict=True):
        assert row[gone].max() <= row[~gone].min()
    assert torch.equal(layer.weight[~dropped], before[~dropped])


def test_a_run_ends_exactly_sparse(train: Callable[..., RunFolder]):
    given = ["compression=[prune_wanda]", "++compression.prune_wanda.pattern='2:4'"]
    summary = train(*SMALL, *given).summary()
    assert summary["compression"]["PruneWanda"]["sparsity"] == 0.5
    before, after = summary["compressed"]["before"], summary["compressed"]["after"]
    assert before["parameters"] == after["parameters"]
    lost = summary["compression"]["PruneWanda"]["weights"] / 2
    assert before["non_zeros"] - after["non_zeros"] == lost
    assert before["val/bits_per_byte"] != after["val/bits_per_byte"]


def test_too_little_text_is_refused_before_training(train: Callable[..., RunFolder]):
    with pytest.raises(InputError, match="rows=1000000"):
        train(*SMALL, "compression=[prune_wanda]", "compression.prune_wanda.rows=1000000")
