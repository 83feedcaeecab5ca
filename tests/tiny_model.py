"""The settings of a model as tiny as they come, for the vocabulary of a tokenizer."""

from typing import Any

from transformers import PreTrainedTokenizerFast


def tiny_config(kind: type, tokenizer: PreTrainedTokenizerFast, length: int, **more: Any) -> Any:
    """A config of that class, whose weights are large enough for answers to differ."""
    return kind(
        layers=1, width=16, heads=2, vocab_size=len(tokenizer), context_length=length,
        initializer_range=0.3, **more,
    )  # fmt: skip
