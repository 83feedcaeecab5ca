"""A checkpoint read before anything depends on it: safe to load, and of this very experiment."""

from __future__ import annotations

from pathlib import Path

from loomlab.callbacks.store import read_state
from loomlab.corpus.base import Corpus
from loomlab.errors import InputError
from loomlab.objective.base import Objective
from loomlab.run.initial_weights import MENTIONED, misfits


def require_resumable(path: Path, objective: Objective, corpus: Corpus, resume: str) -> None:
    """Refuse a checkpoint of another model or another stream of samples.

    Raises:
        InputError: naming what of the stream differs, or the keys of the weights.
    """
    state = read_state(path)
    position = state.get(type(corpus).__qualname__)
    if position is None:
        raise InputError(f"resume={resume}: {path.name} was trained on another kind of corpus")
    corpus.load_state_dict(position)
    corpus.check_resumed()  # first: another text may make another model
    complaints = misfits(objective.state_dict(), state["state_dict"], "", {})
    if complaints:
        named = ", ".join(complaints[:MENTIONED])
        raise InputError(f"resume={resume}: {path.name} is of another model: {named}")
