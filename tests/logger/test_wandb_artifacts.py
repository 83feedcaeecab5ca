"""Lineage at a recording server: the corpus a run used, and the model it left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wandb
from tests.marks import fast_slow_soak

from loomlab.run.folder import RunFolder

RUN = ["model.layers=1", "model.width=16", "model.heads=2", "logger=wandb"]
KINDS = ["references", "model", "checkpoints"]


@pytest.fixture(autouse=True)
def server(wandb_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The double, with the client of this process led to it."""
    for name, value in wandb_server.environment.items():
        monkeypatch.setenv(name, value)
    wandb.teardown()
    yield wandb_server
    wandb.teardown()


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


@pytest.mark.parametrize("kind", fast_slow_soak(KINDS, ["model"], ["references", "checkpoints"]))
def test_from_the_corpus_to_the_model(train: Callable[..., RunFolder], server: Any, kind: str):
    folder = train(*RUN, "callbacks=[checkpoint]", f"logger.wandb.artifacts={kind}")
    run = server.run().id
    (corpus,) = server.committed("corpus")
    assert corpus.collection == "corpus-text"
    assert corpus.used_by == [run]
    counted = folder.summary()["corpus"]
    assert corpus.metadata["training_tokens"] == counted["training_tokens"]
    assert corpus.metadata["fingerprint"]
    (model,) = server.committed("model")
    assert model.logged_by == run
    assert model.metadata["val/loss"] == folder.summary()["best"]["val/loss"]
    assert set(model.manifest) == set(files(folder.model))
    states = {a.metadata["state"]: a for a in server.committed("checkpoint")}
    assert set(states) == {"best", "last"}
    for state, artifact in states.items():
        assert state in artifact.aliases
        assert artifact.logged_by == run
    uploaded = {name: kept for name, kept in model.files.items() if name in model.manifest}
    assert uploaded == ({} if kind == "references" else files(folder.model))
    for state, artifact in states.items():
        entry = artifact.manifest["state.ckpt"]
        path = folder.checkpoints / f"{state}.ckpt"
        if kind == "checkpoints":
            assert artifact.files["state.ckpt"] == path.read_bytes()
        else:
            assert entry["ref"] == path.as_uri()
            assert entry["size"] == path.stat().st_size


@pytest.mark.slow
def test_runs_on_the_same_text_used_the_same_version(train: Callable[..., RunFolder], server: Any):
    for number in (1, 2):
        train(*RUN, f"seed={number}", folder=f"run{number}")
    train(*RUN, "corpus.validation_every=7", folder="run3")
    first, other = server.committed("corpus")
    assert [len(first.used_by), len(other.used_by)] == [2, 1]
    assert first.collection == other.collection


def test_none_are_sent(train: Callable[..., RunFolder], server: Any):
    train(*RUN, "callbacks=[checkpoint]", "logger.wandb.artifacts=none")
    assert server.artifacts == {}
