"""What the projections of attention give is kept, and what is wide is computed again."""

from collections.abc import Callable
from typing import Any

import torch

from loomlab.activation_checkpointing.selective import Selective
from loomlab.model.gpt import GPTConfig


def test_it_keeps_less_than_all_and_more_than_inputs(rehearsed: Callable[[str], Any]):
    kept, some, least = (rehearsed(o).activations for o in ("none", "selective", "block"))
    assert least < some < kept


def test_it_computes_less_again_than_whole_blocks(rehearsed: Callable[[str], Any]):
    plain, some, most = (rehearsed(o).flops for o in ("none", "selective", "block"))
    assert plain < some < most


def test_activations_are_computed_twice():
    model = GPTConfig(vocab_size=11, width=8, layers=3, heads=2, context_length=4).build(
        "causal_lm"
    )
    Selective().apply(model.train())
    ran = []
    for block in model.transformer.layers:
        block.mlp.up.register_forward_hook(lambda *_: ran.append(1))
    loss = model(torch.zeros(1, 4, dtype=torch.long)).logits.sum()
    assert len(ran) == 3
    loss.backward()
    assert len(ran) == 6
