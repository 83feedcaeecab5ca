"""Tiny objectives on a byte vocabulary, built by hand from the parts they take."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from tests.tiny_model import tiny_config
from transformers import PreTrainedTokenizerFast

from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig
from loomlab.optimizer.sgd import SGD
from loomlab.scheduler.constant import Constant
from loomlab.scheduler.context import ScheduleContext
from loomlab.text.label_set import LabelSet
from loomlab.text.rows import Rows
from loomlab.text.samples import Samples
from loomlab.tokenizer.byte import Byte

LENGTH = 24


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return Byte().train()


@pytest.fixture
def objective(tokenizer: PreTrainedTokenizerFast) -> Callable[..., Any]:
    """An objective of a class, with a tiny model that fits it and the settings given."""

    def build(
        kind: type, seed: int = 1, label_set: LabelSet | None = None, **settings: object
    ) -> Any:
        torch.manual_seed(0)
        option = tiny_config(
            GPTConfig if kind.head == "causal_lm" else BERTConfig, tokenizer, LENGTH,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
            **(label_set.head_settings() if label_set else {}),
        )  # fmt: skip
        return kind(
            **settings,
            model=option.build(kind.head),
            tokenizer=tokenizer,
            optimizer=partial(SGD, lr=0.5),
            scheduler=partial(Constant, warmup=0),
            context=ScheduleContext.fixed(10, 4 * LENGTH),
            seed=seed,
            label_set=label_set,
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


@pytest.fixture
def text_rows() -> Callable[..., Rows]:
    """Rows of random bytes with labels, the first of them padded."""

    def make(*labels: list[float], dtype: torch.dtype = torch.float32) -> Rows:
        generator = torch.Generator().manual_seed(3)
        tokens = torch.randint(0, 256, (len(labels), 12), generator=generator)
        mask = torch.ones_like(tokens)
        mask[0, 7:] = 0
        index = torch.arange(len(labels))
        return Rows(tokens, mask, torch.tensor(labels, dtype=dtype), index, index * 0)

    return make
