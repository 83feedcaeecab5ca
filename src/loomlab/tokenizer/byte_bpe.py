"""Byte-level byte-pair encoding."""

from collections.abc import Iterable
from typing import Annotated

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from loomlab.tokenizer.base import SPECIAL, Tokenizer, wrap_bytes


class ByteBPE(Tokenizer):
    """Byte-pair encoding over bytes, GPT-2 style: any text comes back exactly.

    Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2.
    """

    def __init__(self, vocab_size: Annotated[int, "[260, inf)"] = 8192) -> None:
        self.vocab_size = vocab_size

    def train(self, documents: Iterable[str]) -> PreTrainedTokenizerFast:
        """Learn at most vocab_size - 260 merges; ids 0 to 3 are the special tokens."""
        backend = Backend(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab_size,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=list(SPECIAL),
            show_progress=False,
        )
        backend.train_from_iterator(documents, trainer)
        return wrap_bytes(backend)
