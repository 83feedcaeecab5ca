"""Tiny objectives on a byte vocabulary, built by hand from the parts they take."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.objective.clm import CausalLM
from loomlab.objective.mlm import MaskedLM
from loomlab.optimizer.sgd import SGD
from loomlab.scheduler.constant import Constant
from loomlab.scheduler.context import ScheduleContext
from loomlab.text.samples import Samples
from loomlab.tokenizer.byte import Byte

LENGTH = 24


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return Byte().train()


@pytest.fixture
def objective(tokenizer: PreTrainedTokenizerFast) -> Callable[..., CausalLM | MaskedLM]:
    """An objective of a class, with a tiny model that fits it and the settings given."""

    def build(kind: type, seed: int = 1, **settings: object) -> CausalLM | MaskedLM:
        torch.manual_seed(0)
        config = BERTConfig if kind.head == "masked_lm" else GPTConfig
        option = config(
            layers=1, width=16, heads=2, vocab_size=len(tokenizer), context_length=LENGTH,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
            initializer_range=0.3,
        )  # fmt: skip
        return kind(
            **settings,
            model=option.build(kind.head),
            tokenizer=tokenizer,
            optimizer=partial(SGD, lr=0.5),
            scheduler=partial(Constant, warmup=0),
            context=ScheduleContext.fixed(10, 4 * LENGTH),
            seed=seed,
        ).eval()

    return build


@pytest.fixture
def samples() -> Callable[..., Samples]:
    """Windows of random bytes with their numbers."""

    def make(rows: int = 4, first: int = 0, epoch: int = 0, documents: bool = False) -> Samples:
        generator = torch.Generator().manual_seed(3)
        tokens = torch.randint(0, 256, (first + rows, LENGTH + 1), generator=generator)[first:]
        numbers = (torch.arange(LENGTH + 1) // 10).repeat(rows, 1)
        return Samples(
            tokens_BU=tokens,
            document_BU=numbers if documents else None,
            index_B=torch.arange(first, first + rows),
            epoch_B=torch.full((rows,), epoch),
        )

    return make
