"""Techniques that act on the finished model: behind adapters, each behind the one before."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from loomlab.compression.calibration import each_layer, take_rows
from loomlab.compression.targets import in_blocks, linear_layers
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.run.folder import RunFolder

SIZES = {"vocab_size": 50, "context_length": 24, "pad_token_id": 1, "eos_token_id": 0}
SMALL = ["model.layers=1", "model.width=16", "model.heads=2"]


def gpt(**settings):
    torch.manual_seed(0)
    return GPTConfig(layers=2, width=16, heads=2, **SIZES, **settings).build("causal_lm")


def test_adapters_are_merged_before_the_rest_acts(train: Callable[..., RunFolder]):
    stack = "compression=[quantize_int8,prune_wanda,lora]"
    summary = train(*SMALL, stack, "optimizer.lr=0.01").summary()
    assert list(summary["compression"]) == ["LoRA", "PruneWanda", "QuantizeInt8"]
    assert summary["compression"]["PruneWanda"]["sparsity"] == 0.5
    assert summary["compression"]["QuantizeInt8"]["layers"] == 4


def test_the_trunk_without_the_head_is_meant_and_names_choose():
    model = gpt(tied=False)
    every = linear_layers(model, [], "gptq")
    assert len(every) == 8
    assert "lm_head" not in every
    assert list(linear_layers(model, ["lm_head"], "gptq")) == ["lm_head"]
    assert list(linear_layers(model, ["layers.1.mlp.*", "up"], "gptq")) == [
        "transformer.layers.0.mlp.up", "transformer.layers.1.mlp.up",
        "transformer.layers.1.mlp.out",
    ]  # fmt: skip
    assert [len(block) for block in in_blocks(every)] == [4, 4]


def test_a_shared_weight_is_left_alone_by_name():
    with pytest.raises(InputError, match="lm_head is also the embedding"):
        linear_layers(gpt(tied=True), ["lm_head"], "gptq")
    with pytest.raises(InputError, match="no linear layers"):
        linear_layers(nn.Sequential(nn.Embedding(3, 4)), [], "gptq")


def test_a_layer_is_measured_behind_those_already_changed():
    model = gpt().eval()
    batch = {"input_ids": torch.randint(2, 50, (4, 24))}
    grams = []
    for name, layer, gram in each_layer(model, linear_layers(model, ["mlp.up"], "x"), [batch]):
        seen = []
        hook = layer.register_forward_pre_hook(lambda m, x, s=seen: s.append(x[0].flatten(0, -2)))
        model(**batch)
        hook.remove()
        torch.testing.assert_close(gram, seen[0].T @ seen[0], atol=1e-3, rtol=1e-3)
        grams.append(name)
        layer.weight.data.mul_(3)
    assert len(grams) == 2


def test_rows_are_cut_to_the_number_asked_for():
    batches = iter([{"input_ids": torch.zeros(4, 2)}] * 3)
    assert [len(b["input_ids"]) for b in take_rows(batches, 6)] == [4, 2]
