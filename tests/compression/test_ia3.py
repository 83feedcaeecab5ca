"""IA3: which layers are scaled, and on which side."""

import pytest
import torch
from torch import nn

from loomlab.compression.ia3 import IA3
from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.model.hf import HFModel

OWN = {"layers": 1, "width": 16, "heads": 2, "vocab_size": 50, "context_length": 24}
SIZES = {"vocab_size": 50, "context_length": 24}
TINY = {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 32}


def scales(model: nn.Module) -> dict[str, int]:
    """How many scales each layer has, by its name within its block; negative for its inputs."""
    return {
        n.split(".ia3_")[0].split("0.", 1)[1]: p.numel() * (-1 if p.shape[0] == 1 else 1)
        for n, p in model.named_parameters()
        if ".ia3_" in n
    }


def test_our_models():
    model = IA3().transform(GPTConfig(**OWN).build("causal_lm"))
    assert scales(model) == {"attention.qkv": 48, "mlp.out": -64}


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        (
            "bert",
            {"num_attention_heads": 2},
            {"attention.self.key": 16, "attention.self.value": 16, "output.dense": -32},
        ),
        (  # keys and values of grouped queries are narrow, and still scaled where they come out
            "llama",
            {"num_attention_heads": 4, "num_key_value_heads": 2},
            {"self_attn.k_proj": 8, "self_attn.v_proj": 8, "mlp.down_proj": -32},
        ),
    ],
)
def test_models_of_transformers(kind: str, config: dict, expected: dict):
    head = "masked_lm" if kind == "bert" else "causal_lm"
    built = HFModel(architecture_type=kind, config={**TINY, **config}, **SIZES).build(head)
    assert scales(IA3().transform(built)) == expected


def test_named_layers_are_scaled_where_they_come_out():
    model = IA3(targets=["mlp.*", "attention.out"]).transform(GPTConfig(**OWN).build("causal_lm"))
    assert scales(model) == {"attention.out": 16, "mlp.up": 64, "mlp.out": -64}


def test_a_model_whose_layers_are_not_known_is_refused():
    class Unknown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.embedding = nn.Linear(4, 4), nn.Embedding(3, 4)

    with pytest.raises(InputError, match=r"compression\.ia3\.targets: it has mix"):
        IA3().transform(Unknown())


def test_it_starts_with_ones():
    model = IA3().transform(GPTConfig(**OWN).build("causal_lm"))
    free = [p for p in model.parameters() if p.requires_grad]
    assert len(free) == 2
    assert all(torch.equal(p, torch.ones_like(p)) for p in free)
