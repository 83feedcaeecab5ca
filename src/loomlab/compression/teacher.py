"""The model that a student learns from."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from tokenizers import Tokenizer
from torch import nn

from loomlab.allow import resolve, trust_recorded
from loomlab.callbacks.checkpoint import kept_random_state
from loomlab.compression.teacher_folder import TeacherFolder
from loomlab.errors import InputError, first_line
from loomlab.model import bert, gpt  # noqa: F401  they register themselves
from loomlab.model.saved import load_pretrained
from loomlab.objective.base import Objective
from loomlab.quoting import to_type
from loomlab.tokenizer.base import cutting

KEY = "compression.distill.teacher"


class Teacher:
    """The model of a folder, loaded when it is first asked for; it has no part in training.

    The random numbers of the run go on as if it had not been loaded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = TeacherFolder(path)

    @cached_property
    def model(self) -> nn.Module:
        """The model, in evaluation mode and without gradients.

        Raises:
            InputError: it is not there, or cannot be loaded.
        """
        head = self.folder.head or ""
        problem = self.folder.problem(head)
        if problem:
            raise InputError(f"{KEY}: {problem}")
        with kept_random_state():
            return frozen(self._load(head))

    def _load(self, head: str) -> Any:
        record = self.path / "config.yaml"
        if not record.is_file():
            return load_pretrained(self.folder.model, head)
        try:
            config: Any = OmegaConf.load(record)
        except yaml.YAMLError as error:
            raise InputError(f"{KEY}: {record} is damaged: {first_line(error)}") from error
        trust_recorded(map(str, config.get("conf_dirs") or []))
        option = resolve(config.model._target_, f"{record}: model._target_")
        return option.load(self.folder.model, head)

    def require_fit(self, objective: Objective) -> None:
        """Refuse a teacher of another task, other labels or another tokenizer.

        Raises:
            InputError: saying which, and what would do.
        """
        problem = self.folder.problem(objective.head)
        ours = objective.label_set.names if objective.label_set is not None else ()
        if not problem and ours and self.folder.labels != ours:
            problem = (
                f"the labels of {self.path} are {', '.join(self.folder.labels)}, those of this "
                f"run {', '.join(ours)}; give a teacher of the same corpus"
            )
        if problem:
            raise InputError(f"{KEY}: {problem}")
        self._require_tokenizer(objective.tokenizer)

    def _require_tokenizer(self, ours: Any) -> None:
        path = self.folder.model / "tokenizer.json"
        if not path.is_file():
            raise InputError(
                f"{KEY}: {path.parent} has no tokenizer.json, so nobody can tell whether the "
                "teacher reads the same tokens; save its tokenizer there"
            )
        theirs = Tokenizer.from_file(str(path))
        if cutting(theirs) != cutting(ours.backend_tokenizer):
            raise InputError(
                f"{KEY}: {self.path} reads tokens of another tokenizer "
                f"({theirs.get_vocab_size()}, this run has {len(ours)}), so its answers are about "
                "other tokens; use the corpus and tokenizer of that run, or tokenizer=hf "
                f"{to_type('tokenizer.name', path.parent)}"
            )


class Itself(Teacher):
    """The model as the run starts with it, before compression has changed anything."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(Path("self"))
        self.model = frozen(model)

    def require_fit(self, objective: Objective) -> None:
        """It is of this very run."""


def frozen(model: nn.Module) -> nn.Module:
    """A model that only answers."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()
