"""A small model with real numbers, written and read in each format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from loomlab.format.base import Format, Inputs
from loomlab.model.bert import BERTConfig
from loomlab.model.gpt import GPTConfig

SIZES = {"layers": 1, "width": 16, "heads": 2, "vocab_size": 40, "context_length": 32}
SHAPES = ((2, 8), (3, 5), (1, 32))  # the first is traced; the others show that sizes are free


def model_of(kind: str, **settings: Any) -> nn.Module:
    torch.manual_seed(0)
    config, head = {"gpt": (GPTConfig, "causal_lm"), "bert": (BERTConfig, "masked_lm")}[kind]
    return config(**{**SIZES, **settings}, initializer_range=0.3).build(head).eval()


def inputs_of(kind: str, *shape: int) -> Inputs:
    ids = torch.randint(40, shape, generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids} | (
        {"attention_mask": torch.ones_like(ids)} if kind == "bert" else {}
    )


@pytest.fixture
def furthest(tmp_path: Path) -> Callable[..., float]:
    """Write and read a model; how far any logit is off for batches of several sizes."""

    @torch.no_grad()
    def measure(form: Format, kind: str, **settings: Any) -> float:
        model = model_of(kind, **settings)
        batches = [inputs_of(kind, *shape) for shape in SHAPES]
        form.write(model, batches[0], tmp_path)
        assert (tmp_path / form.file).is_file()
        run = form.read(tmp_path, tuple(batches[0]))
        off: list[Tensor] = [(run(b) - model(**b).logits).abs().max() for b in batches]
        return float(max(off))

    return measure
