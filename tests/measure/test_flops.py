"""Counted FLOPs against the formula for a GPT-2 shape."""

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from loomlab.measure.flops import training_flops_per_token

LAYERS, WIDTH, VOCAB, LENGTH = 2, 64, 300, 128


def _gpt2(attention):
    config = GPT2Config(
        n_layer=LAYERS,
        n_embd=WIDTH,
        n_head=4,
        vocab_size=VOCAB,
        n_positions=LENGTH,
        attn_implementation=attention,
    )
    return GPT2LMHeadModel(config)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_agrees_with_the_formula_for_a_gpt2_shape(attention):
    batch = {"input_ids": torch.zeros(3, LENGTH, dtype=torch.long)}
    batch["labels"] = batch["input_ids"]
    matrices = 12 * LAYERS * WIDTH**2 + VOCAB * WIDTH
    expected = 6 * matrices + 12 * LAYERS * WIDTH * LENGTH
    counted = training_flops_per_token(_gpt2(attention), batch)
    assert counted == pytest.approx(expected, rel=0.02)


class Linear(nn.Module):
    """A layer that remembers what it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 16)
        self.dropout = nn.Dropout(0.5)
        self.rows = 0

    def forward(self, input_ids, masked_index=None, table=None, labels=None):
        assert not self.training
        assert not torch.is_grad_enabled()
        self.rows = len(input_ids)
        self.others = table, labels
        x = torch.ones(*input_ids.shape, 8)
        return self.layer(x if masked_index is None else x.flatten(0, 1)[masked_index])


def test_one_row_in_eval_mode_and_every_mode_is_restored():
    model = Linear().train()
    model.dropout.eval()
    flops = training_flops_per_token(model, {"input_ids": torch.zeros(5, 4, dtype=torch.long)})
    assert flops == 3 * 2 * 8 * 16
    assert model.rows == 1
    assert model.training
    assert not model.dropout.training


def test_only_what_has_the_rows_of_the_batch_is_cut_to_one():
    model, ids, table = Linear(), torch.zeros(5, 4, dtype=torch.long), torch.zeros(3, 5)
    training_flops_per_token(model, {"input_ids": ids, "table": table, "labels": [5, 4]})
    assert model.rows == 1
    assert model.others == (table, [5, 4])


class Attending(nn.Module):
    """Attention alone."""

    def forward(self, input_ids, masked_index=None):
        x = torch.ones(len(input_ids), 2, input_ids.shape[1], 8)
        return nn.functional.scaled_dot_product_attention(x, x, x)


@pytest.mark.parametrize("flat", [{}, {"masked_index": torch.tensor([0])}])
def test_attention_is_two_products_over_all_pairs_of_positions(flat):
    batch = {"input_ids": torch.zeros(5, 4, dtype=torch.long), **flat}
    assert training_flops_per_token(Attending(), batch) == 3 * 2 * 2 * 4 * (8 + 8)


def test_flat_indices_keep_the_batch_whole_and_count_only_what_is_computed():
    ids = torch.zeros(5, 4, dtype=torch.long)
    model = Linear()
    flops = training_flops_per_token(
        model, {"input_ids": ids, "masked_index": torch.tensor([1, 19])}
    )
    assert flops == 3 * 2 * 8 * 16 * 2 / 20
    assert model.rows == 5
