"""The blocks of a model by name, and the place of each weight."""

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

from loomlab.measure.blocks import named_blocks, parameter_places


def block() -> nn.Module:
    """A block that holds lists of modules itself."""
    return nn.ModuleDict({"experts": nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])})


def test_blocks_of_a_model_of_transformers_and_the_places_of_its_weights():
    model = GPT2LMHeadModel(GPT2Config(n_layer=12, n_embd=4, n_head=1, vocab_size=9))
    assert named_blocks(model) == {f"layers.{n}": model.transformer.h[n] for n in range(12)}
    places = parameter_places(model)
    assert places.keys() == dict(model.named_parameters()).keys()
    assert places["transformer.wte.weight"] == "wte"
    assert places["transformer.ln_f.bias"] == "ln_f"
    assert places["transformer.h.10.mlp.c_fc.weight"] == "layers.10"


def test_several_stacks_go_by_their_own_paths():
    sizes = {"d_model": 4, "d_kv": 2, "d_ff": 4, "num_heads": 2, "vocab_size": 9}
    model = T5ForConditionalGeneration(T5Config(num_layers=1, num_decoder_layers=2, **sizes))
    blocks = ["encoder.block.0", "decoder.block.0", "decoder.block.1"]
    assert list(named_blocks(model)) == blocks


def test_only_lists_of_one_class_with_weights_are_stacks():
    stack = nn.ModuleList([block(), block()])
    model = nn.ModuleDict(
        {
            "mixed": nn.ModuleList([nn.Linear(2, 2), nn.LayerNorm(2)]),
            "weightless": nn.ModuleList([nn.ReLU(), nn.ReLU()]),
            "empty": nn.ModuleList(),
            "own": stack,
        }
    )
    assert named_blocks(model) == {"layers.0": stack[0], "layers.1": stack[1]}, "not inner lists"
    assert parameter_places(model)["mixed.0.weight"] == "mixed"
    assert parameter_places(model)["own.1.experts.0.weight"] == "layers.1"
    assert named_blocks(nn.Linear(2, 2)) == {}


def test_weights_that_blocks_share_with_another_part_are_of_the_blocks():
    stack = nn.ModuleList([nn.Linear(2, 2)])
    model = nn.ModuleDict({"first": nn.Linear(2, 2), "own": stack})
    model["first"].weight = stack[0].weight
    places = parameter_places(model)
    assert places == {"first.weight": "layers.0", "first.bias": "first", "own.0.bias": "layers.0"}
    assert torch.equal(model["first"].weight, stack[0].weight)
