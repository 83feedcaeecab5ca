"""A checkpoint of something else is refused before anything depends on it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from loomlab.errors import InputError
from loomlab.run.saved_state import require_resumable

POSITION = {"consumed": 3}


class Corpus(SimpleNamespace):
    """What of a corpus a state is held against; it notes what it is given."""

    def load_state_dict(self, position: dict[str, int]) -> None:
        self.position = position

    def check_resumed(self) -> None:
        if self.other:
            raise InputError("other text")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save({"Corpus": POSITION, "state_dict": nn.Linear(2, 3).state_dict()}, tmp_path / "a")
    return tmp_path / "a"


def resume(path: Path, model: nn.Module, corpus: Any) -> None:
    require_resumable(path, model, corpus, "run")  # type: ignore[arg-type]


def test_a_state_of_this_very_experiment_is_taken(saved: Path):
    corpus = Corpus(other=False)
    resume(saved, nn.Linear(2, 3), corpus)
    assert corpus.position == POSITION


def test_of_another_model(saved: Path):
    with pytest.raises(InputError, match="resume=run: a is of another model: weight has another"):
        resume(saved, nn.Linear(4, 3), Corpus(other=False))
    with pytest.raises(InputError, match="a is of another model: bias is not in this model"):
        resume(saved, nn.Linear(2, 3, bias=False), Corpus(other=False))


def test_of_other_text_which_is_said_first(saved: Path):
    with pytest.raises(InputError, match="other text"):
        resume(saved, nn.Linear(2, 4), Corpus(other=True))


def test_of_another_kind_of_corpus(saved: Path):
    with pytest.raises(InputError, match="resume=run: a was trained on another kind of corpus"):
        resume(saved, nn.Linear(2, 3), SimpleNamespace())
