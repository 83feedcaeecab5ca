"""What has become of a run's text is said, and other labels than the model's are refused."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from loomlab.errors import InputError
from loomlab.run.same_text import require_labels, say_what_changed, text_identity


def corpus(training: str = "a", held_out: str = "b", labels: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(
        train_manifest=SimpleNamespace(tokens_sha256=training),
        validation_manifest=SimpleNamespace(tokens_sha256=held_out),
        label_set=SimpleNamespace(names=labels) if labels else None,
    )


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (corpus("c", "b"), "(another training text)"),
        (corpus("a", "c"), "(another held-out text)"),
        (corpus("c", "d"), "(another training text and another held-out text)"),
        (corpus("a", "b"), ""),
    ],
)
def test_what_has_changed(now: Any, words: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, "loomlab")
    say_what_changed("run", {"vocabulary": 260, **text_identity(corpus())}, now)
    assert words in caplog.text
    assert ("not comparable" in caplog.text) == ("held-out" in words)
    assert bool(words) == bool(caplog.records)
    caplog.clear()
    say_what_changed("run", {"vocabulary": 260}, now)  # of a run that has no record of it
    assert not caplog.records


def test_other_labels():
    model = SimpleNamespace(id2label={1: "bad", 0: "good"})
    require_labels("run", model, corpus())
    require_labels("run", None, corpus(labels=("good", "bad")))
    require_labels("run", model, corpus(labels=("good", "bad")))
    with pytest.raises(
        InputError, match="has the labels good, bad, so-so now, and it was trained"
    ):
        require_labels("run", model, corpus(labels=("good", "bad", "so-so")))
