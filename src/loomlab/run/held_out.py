"""How much of the held-out text validations read, and the numbers at the end of a run."""

from __future__ import annotations

import logging

from loomlab.corpus.base import Corpus

log = logging.getLogger("loomlab")


def say_what_is_validated(corpus: Corpus) -> None:
    """Tell, where validations read a part only."""
    tokens = corpus.validation_manifest.tokens
    batches, read = len(corpus.all_held_out()), len(corpus.held_out())
    if read < batches:
        log.info(
            "validations read %s of %s held-out tokens (trainer.val_share), the last one all",
            f"{tokens * read // batches:,}", f"{tokens:,}",
        )  # fmt: skip


def read_all(corpus: Corpus) -> bool:
    """From here on this process reads all held-out rows, in the batches of the whole run.

    Returns whether validations have read them all.
    """
    all_read = len(corpus.held_out()) == len(corpus.all_held_out())
    corpus.validation_batches = None
    corpus.batch_size *= corpus.world_size
    corpus.rank, corpus.world_size = 0, 1
    return all_read
