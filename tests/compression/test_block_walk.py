"""Hidden states handed on give what whole forwards give, on models of every kind of block."""

from itertools import pairwise

import pytest
import torch
import transformers
from torch import nn

from loomlab.compression import calibration
from loomlab.compression.block_walk import BlockWalk
from loomlab.compression.calibration import each_layer
from loomlab.compression.targets import linear_layers
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig

SIZES = {"vocab_size": 50, "context_length": 12, "pad_token_id": 1, "eos_token_id": 0}
SHAPE = {"layers": 3, "width": 16, "heads": 2}
HF = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "vocab_size": 50,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 1,
    "max_position_embeddings": 12, "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip


def of_transformers(kind: str, head: str = "AutoModelForCausalLM") -> nn.Module:
    config = transformers.AutoConfig.for_model(kind, **HF)
    model: nn.Module = getattr(transformers, head).from_config(config)
    return model


MODELS = {
    "gpt": lambda: GPTConfig(**SHAPE, **SIZES).build("causal_lm"),
    "bert": lambda: BERTConfig(**SHAPE, **SIZES).build("masked_lm"),
    "llama": lambda: of_transformers("llama"),
    "gemma3_text": lambda: of_transformers("gemma3_text"),  # two kinds of masks and positions
    "hf bert": lambda: of_transformers("bert", "AutoModelForMaskedLM"),
}


def batches() -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    found = [{"input_ids": torch.randint(2, 50, (2, 12))} for _ in range(3)]
    keep = torch.ones(2, 12, dtype=torch.long)
    keep[1, 7:] = 0
    return [found[0], {**found[1], "attention_mask": keep}, found[2]]


def halved(model: nn.Module, targets: list[str]) -> list[torch.Tensor]:
    """Every x x^T while each layer loses half of itself as soon as it was measured."""
    found = []
    for _, layer, gram in each_layer(model, linear_layers(model, targets, "x"), batches()):
        found.append(gram.clone())
        layer.weight.data.mul_(torch.arange(layer.in_features) % 2)
    return found


@pytest.mark.parametrize("kind", MODELS)
def test_it_measures_what_whole_forwards_measure(kind: str, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    model = MODELS[kind]()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    began = []
    begin = BlockWalk.begin
    monkeypatch.setattr(
        calibration.BlockWalk, "begin", lambda *given: began.append(begin(*given)) or began[-1]
    )
    walked = halved(model, [])
    assert began[0] is not None, "a model of this kind is to be walked through"
    model.load_state_dict(state)
    monkeypatch.setattr(calibration.BlockWalk, "begin", lambda *_: None)
    whole = halved(model, [])
    assert len(walked) == len(whole) == len(linear_layers(model, [], "x"))
    for one, other in zip(walked, whole, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_blocks_without_targets_are_passed_and_the_head_is_measured_last():
    model = GPTConfig(**SHAPE, **SIZES, tied=False).build("causal_lm").eval()
    grams = halved(model, ["layers.2.mlp.up", "lm_head"])
    inputs: list[torch.Tensor] = []
    layers = linear_layers(model, ["layers.2.mlp.up", "lm_head"], "x")
    for layer in layers.values():
        layer.register_forward_pre_hook(lambda _, x: inputs.append(x[0].detach().flatten(0, -2)))
    with torch.no_grad():
        for batch in batches():
            model(**batch)
    for number, gram in enumerate(grams):
        seen = torch.cat(inputs[number::2])
        torch.testing.assert_close(gram, seen.T @ seen, atol=1e-4, rtol=1e-4)


def test_each_block_is_run_twice_and_not_once_per_block_behind_it():
    model = GPTConfig(**SHAPE, **SIZES).build("causal_lm")
    calls = [0, 0, 0]
    for number, block in enumerate(model.blocks()):
        block.register_forward_pre_hook(lambda *_, n=number: calls.__setitem__(n, calls[n] + 1))
    halved(model, [])
    assert calls == [9, 9, 6]  # once to see how it is called, then measured, then handed on


class Between(nn.Module):
    """Blocks with something between them that hidden states alone do not tell."""

    def __init__(self, side: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.side = side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = x
        for before, layer in pairwise([None, *self.layers]):
            x = layer(x if before is None or self.side else x + first)
            if self.side:
                x = x + 1
        return x


@pytest.mark.parametrize("side", [False, True])
def test_a_model_that_does_more_between_blocks_is_run_as_a_whole(side: bool):
    model = Between(side)
    batch = {"x": torch.randn(5, 4)}
    assert BlockWalk.begin(model, "layers", [batch]) is None
    inputs = []
    model.layers[2].register_forward_pre_hook(lambda _, x: inputs.append(x[0].detach()))
    layers = {f"layers.{i}.inner": layer for i, layer in enumerate(model.layers)}
    grams = [gram for _, _, gram in each_layer(model, layers, [batch])]
    torch.testing.assert_close(grams[2], inputs[-1].T @ inputs[-1])
