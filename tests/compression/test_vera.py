"""VeRA: all layers share one random pair, of which vectors alone are trained."""

import torch

from loomlab.compression.vera import VeRA
from loomlab.model.gpt import GPTConfig

OWN = {"layers": 2, "width": 16, "heads": 2, "vocab_size": 50, "context_length": 24}


def test_two_vectors_are_trained_per_layer():
    technique = VeRA(rank=12, start=0.3)
    wrapped = technique.transform(GPTConfig(**OWN).build("causal_lm"))
    free = {n: p for n, p in wrapped.named_parameters() if p.requires_grad}
    outputs = 2 * (48 + 16 + 64 + 16)  # of qkv, out, up and out
    assert sum(p.numel() for p in free.values()) == 8 * 12 + outputs
    ranks = [p for n, p in free.items() if "lambda_d" in n]
    assert all(torch.equal(p, torch.full((12,), 0.3)) for p in ranks)


def test_the_random_pair_is_one_for_all_and_the_same_each_time():
    pairs = []
    for _ in range(2):
        wrapped = VeRA(rank=12).transform(GPTConfig(**OWN).build("causal_lm"))
        state = {n: b for n, b in wrapped.state_dict().items() if ".vera_A" in n}
        assert len(state) == 8, "a checkpoint has it"
        assert len({b.data_ptr() for b in state.values()}) == 1
        pairs.append(next(iter(state.values())))
    assert torch.equal(*pairs)
