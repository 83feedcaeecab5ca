"""Models as tiny as they come: for the vocabulary of a tokenizer, and one of each backbone."""

from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

BACKBONES = pytest.mark.parametrize(
    "model",
    [
        ["model=bert"],
        pytest.param([], marks=pytest.mark.slow),
        pytest.param(
            ["model=hf", "model.architecture_type=bert",
             "++model.config={num_hidden_layers:1,hidden_size:16,num_attention_heads:2,"
             "intermediate_size:32}"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["bert", "gpt", "hf"],
)  # fmt: skip


def tiny_config(kind: type, tokenizer: PreTrainedTokenizerFast, length: int, **more: Any) -> Any:
    """A config of that class, whose weights are large enough for answers to differ."""
    return kind(
        layers=1, width=16, heads=2, vocab_size=len(tokenizer), context_length=length,
        initializer_range=0.3, **more,
    )  # fmt: skip
