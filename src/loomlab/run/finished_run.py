"""A finished run, loaded to be used: its model, tokenizer and, where asked for, its corpus."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from omegaconf import DictConfig
from torch import nn

from loomlab.device import device
from loomlab.errors import InputError
from loomlab.format.exported import ExportedModel
from loomlab.objective.base import Objective
from loomlab.quoting import to_type
from loomlab.run.assembly import open_corpus, own_groups
from loomlab.run.constructor import constructor
from loomlab.run.export_record import make_format, read_record
from loomlab.run.folder import RunFolder
from loomlab.run.kept_tokenizer import kept_tokenizer, saved_tokenizer
from loomlab.run.quiet import quiet_libraries
from loomlab.run.recorded import require_known_settings
from loomlab.run.same_text import require_labels, say_what_changed

SCORED_WITH = ("corpus", "objective", "optimizer", "scheduler")


class FinishedRun:
    """The model of a run folder, or of an export of it, and what it was trained with."""

    def __init__(self, path: str | Path) -> None:
        quiet_libraries()
        self.export = read_record(Path(path))
        self.folder = RunFolder(self.export["run"] if self.export else path)
        self.config: DictConfig = self.folder.config()
        if not (self.folder.model / "config.json").is_file():
            status = self.folder.summary().get("status", "not started")
            raise InputError(
                f"{path} has no finished model (status: {status}): go on with "
                f"`loom train {to_type('resume', path)}`"
            )
        try:
            self.objective_class: type[Objective] = constructor(self.config.objective).func
        except (InputError, InstantiationException) as error:
            dirs = os.pathsep.join(self.config.get("conf_dirs") or [])
            fix = f" If you trust the code beside its config folder, set LOOM_CONF={dirs}."
            raise InputError(f"{path}: {error}{fix if dirs else ''}") from error
        self.tokenizer = saved_tokenizer(self.folder.model)
        self.model = self._load_model()

    def _load_model(self) -> nn.Module:
        """The model with its best weights, in evaluation mode."""
        option = constructor(self.config.model).func
        model: nn.Module = option.load(self.folder.model, self.objective_class.head)
        if self.export:
            form, names = make_format(self.export["format"]), tuple(self.export["inputs"])
            runner = form.read(self.export["folder"], names)
            model = ExportedModel(model.config, runner)
        return model.eval()

    def ready(self) -> nn.Module:
        """The model on the device of this process; that of an export is bound to where it is."""
        return self.model if self.export else self.model.to(device())

    def require(self, head: str | Collection[str]) -> None:
        """Refuse a verb that the run's model has no head for; several may do.

        Raises:
            InputError: naming the verb that fits instead.
        """
        heads = (head,) if isinstance(head, str) else head
        if self.objective_class.head not in heads:
            fitting = {
                "causal_lm": "loom generate",
                "masked_lm": "loom fill",
                "sequence_classification": "loom predict",
                "token_classification": "loom predict",
            }
            instead = fitting.get(self.objective_class.head, "loom evaluate")
            raise InputError(
                f"the model of {self.folder.path} was trained with "
                f"objective={self.config.choice.objective}; use `{instead}`"
            )
        if head == "causal_lm" and not hasattr(self.model, "generate"):
            raise InputError(
                f"model={self.config.choice.model} of {self.folder.path} scores text but writes "
                "none; use `loom evaluate`"
            )

    def with_corpus(self) -> tuple[Objective, Any]:
        """The objective around the model, and the corpus it is scored on.

        The text is read as it is now, cut by the run's own tokenizer; what has changed is said.

        Raises:
            InputError: it has other labels than the model, or settings that are no longer there.
        """
        require_known_settings(self.folder, self.config, SCORED_WITH)
        own = own_groups(self.config)
        corpus = open_corpus(self.config, tokenizer=kept_tokenizer(self.folder), own=own)
        require_labels(self.folder.path, getattr(self.model, "config", None), corpus)
        say_what_changed(self.folder.path, self.folder.summary().get("corpus") or {}, corpus)
        objective: Objective = own.give(constructor(self.config.objective))(
            model=self.model,
            tokenizer=self.tokenizer,
            optimizer=own.give(constructor(self.config.optimizer)),
            scheduler=own.give(constructor(self.config.scheduler)),
            context=None,
            token_bytes=corpus.token_bytes(),
            seed=self.config.seed,
            label_set=corpus.label_set,
        )
        corpus.collate = objective.collate
        return objective, corpus
