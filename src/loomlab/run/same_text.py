"""The text of a finished run, which may have changed since: its numbers are of what was there."""

from __future__ import annotations

import logging
from typing import Any

from loomlab.corpus.base import Corpus
from loomlab.errors import InputError

HELD_OUT = "held-out text"
PARTS = {"training_sha256": "training text", "validation_sha256": HELD_OUT}
INCOMPARABLE = ": these numbers are not comparable with those of its summary"
log = logging.getLogger("loomlab")


def text_identity(corpus: Corpus) -> dict[str, str]:
    """What the tokens of both parts of the text are, as summary.json records it."""
    cut = (corpus.train_manifest, corpus.validation_manifest)
    return {key: manifest.tokens_sha256 for key, manifest in zip(PARTS, cut, strict=True)}


def say_what_changed(path: object, recorded: dict[str, Any], corpus: Corpus) -> None:
    """Tell where the text is no longer the one a run has on record (`corpus` of its summary)."""
    now = text_identity(corpus)
    changed = [said for key, said in PARTS.items() if recorded.get(key, now[key]) != now[key]]
    if changed:
        log.warning(
            "%s: the files of its text have changed since it was trained (another %s)%s",
            path, " and another ".join(changed), INCOMPARABLE if changed[-1] == HELD_OUT else "",
        )  # fmt: skip


def require_labels(path: object, model_config: Any, corpus: Corpus) -> None:
    """Refuse labels of the text that are not those a classifier was trained with.

    Raises:
        InputError: the text has other labels now.
    """
    known: dict[int, str] = getattr(model_config, "id2label", None) or {}
    if corpus.label_set is None or not known:
        return
    theirs, ours = tuple(known[number] for number in sorted(known)), corpus.label_set.names
    if theirs != ours:
        raise InputError(
            f"{path}: its text has the labels {', '.join(ours)} now, and it was trained with "
            f"{', '.join(theirs)}: give back the files it was trained on"
        )
