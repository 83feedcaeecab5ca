"""Configs of runs that are planned, and the parts of a plan."""

from collections.abc import Callable
from typing import Any

import pytest

SMALL = ["model.layers=2", "model.width=32", "model.heads=4", "sequence_length=16",
         "global_batch_size=8", "tokenizer=byte", "logger=none", "precision=fp32"]  # fmt: skip


@pytest.fixture
def config_of() -> Callable[..., Any]:
    """The checked config of a small run."""
    from loomlab.compose.gate import check

    def compose(*overrides: str) -> Any:
        other = [o for o in overrides if o in ("model=hf", "model=ngram")]
        sizes = [o for o in SMALL if not (other and o.startswith("model."))]
        checked = check([*sizes, *overrides])
        assert not checked.problems, checked.message()
        return checked.configs[0]

    return compose


@pytest.fixture
def watched(config_of: Callable[..., Any]) -> Callable[..., Any]:
    """What one process of a small run holds and does."""
    from loomlab.plan.paper import cluster, paper_of
    from loomlab.plan.step import rehearse
    from loomlab.run.constructor import constructor

    def run(*overrides: str, rank: int = 0, recompute: bool = False) -> Any:
        config = config_of(*overrides)
        with cluster(constructor(config.parallelism)().world_size, rank):
            return rehearse(paper_of(config), recompute, rank)

    return run
