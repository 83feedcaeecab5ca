"""A run is built of its real classes, and refused where it could not be."""

from collections.abc import Callable
from typing import Any

import pytest
import torch.distributed as dist

from loomlab.errors import InputError
from loomlab.plan.paper import cluster, paper_of, vocabulary


def test_weights_hold_no_memory_and_the_vocabulary_is_that_to_be(config_of: Callable[..., Any]):
    config = config_of("tokenizer=byte_bpe", "tokenizer.vocab_size=5000")
    with cluster(1):
        model = paper_of(config).objective.model
    assert all(p.is_meta for p in model.parameters())
    assert model.config.vocab_size == 5000
    assert vocabulary(config)[1] == 5000
    assert not dist.is_initialized()


def test_a_model_that_cannot_be_cut_so_is_refused(config_of: Callable[..., Any]):
    config = config_of("parallelism=tp", "parallelism.devices=2")
    config.parallelism.devices = 3  # which the gate would refuse
    with cluster(3), pytest.raises(InputError, match=r"does not divide model\.heads=4"):
        paper_of(config)


def test_counts_and_rows_of_text_are_refused(config_of: Callable[..., Any]):
    counts = config_of("model=ngram")
    with cluster(1), pytest.raises(InputError, match="counts take no steps"):
        paper_of(counts)
    rows = config_of("objective=classification", "corpus=rotten_tomatoes")
    with cluster(1), pytest.raises(InputError, match="reads rows"):
        paper_of(rows)
