"""Validations read a part of the held-out text, the numbers at the end are of all of it."""

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest

from loomlab.run.assembly import assemble
from loomlab.run.folder import RunFolder
from loomlab.run.held_out import read_all, say_what_is_validated


@pytest.fixture
def corpus(small: Callable[..., list[str]], tmp_path: Any) -> Any:
    from loomlab.compose.gate import check
    from loomlab.run.prepared import record_choice

    config = record_choice(check(small(tmp_path / "run")).configs[0])
    return assemble(config, RunFolder(tmp_path / "run")).corpus


def test_a_part_is_said_and_all_is_read_in_the_end(corpus: Any, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "loomlab")
    every = len(corpus.val_dataloader())
    corpus.validation_batches = every // 2
    assert len(corpus.val_dataloader()) == every // 2
    say_what_is_validated(corpus)
    (record,) = caplog.records
    assert f"of {len(corpus.validation_tokens):,} held-out tokens" in record.getMessage()
    rows, corpus.rank, corpus.world_size = corpus.batch_size, 1, 2
    assert not read_all(corpus)
    assert (corpus.rank, corpus.world_size, corpus.batch_size) == (0, 1, 2 * rows)
    assert len(corpus.val_dataloader()) == math.ceil(every / 2)


def test_nothing_is_said_of_the_whole(corpus: Any, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "loomlab")
    corpus.validation_batches = 10**6
    say_what_is_validated(corpus)
    assert not caplog.records
    assert read_all(corpus)
