"""A step on paper, which tells what is kept for the backward pass and what is computed."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from loomlab.compose.gate import check
from loomlab.plan.paper import cluster, paper_of
from loomlab.plan.step import rehearse

DEEP = ["model.layers=6", "model.width=32", "model.heads=4", "sequence_length=64",
        "global_batch_size=8", "tokenizer=byte", "logger=none", "precision=fp32"]  # fmt: skip


@pytest.fixture(scope="session")
def rehearsed() -> Callable[[str], Any]:
    """What a step of a deep model holds and does under an option."""

    @cache
    def run(option: str) -> Any:
        checked = check([*DEEP, f"activation_checkpointing={option}"])
        assert not checked.problems, checked.message()
        with cluster(1):
            return rehearse(paper_of(checked.configs[0]))

    return run
