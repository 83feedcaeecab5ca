"""The run folder: the contract between training and every tool that reads runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from loomlab import strict_json
from loomlab.allow import remember, trust_recorded
from loomlab.catalog.resolvers import register_resolvers
from loomlab.catalog.yaml_file import fault
from loomlab.errors import InputError, first_line
from loomlab.secrets import masked, masked_override, recordable

SCHEMA_VERSION = 1
SUMMARY = "summary.json"
CONFIG = "config.yaml"
OVERRIDES = "overrides.json"
HYDRA = "hydra.yaml"  # of a job of a sweep: whom Hydra calls for it, and how it logs
OLD_OVERRIDES = "overrides.txt"  # one a line, which is not all that can be typed
NEEDED = ("corpus", "model", "objective")  # in the config of every run
# Folders of a run in which no other run lies; csv/ and wandb/ hold a config.yaml of their own.
PARTS = ("checkpoints", "tokenizer", "model", "csv", "wandb", "tensorboard")


class RunFolder:
    """Paths and records of one run.

    config.yaml (composed), overrides.json, metrics.csv, summary.json, tokenizer/ (that its text is
    cut with), checkpoints/, samples.txt, train.log, and model/ (Transformers layout) once it is
    finished.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def checkpoints(self) -> Path:
        """Folder of last.ckpt and best.ckpt."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """metrics.csv."""
        return self.path / "metrics.csv"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer that the text of the run was cut with, from its start on."""
        return self.path / "tokenizer"

    @property
    def model(self) -> Path:
        """The finished model and its tokenizer in Transformers layout."""
        return self.path / "model"

    def create(self, config: DictConfig, overrides: list[str]) -> None:
        """Make the folder with the composed config and the overrides that led to it.

        Nobody else may read a folder that is made here; one that was there stays as it is.
        """
        make_private(self.path)
        self.checkpoints.mkdir(exist_ok=True)
        remember(map(str, config.get("conf_dirs") or []))
        write_atomically(
            self.path / CONFIG, OmegaConf.to_yaml(OmegaConf.create(recordable(config)))
        )
        kept = [masked_override(o) for o in overrides]
        write_atomically(self.path / OVERRIDES, json.dumps(kept, indent=1) + "\n")

    def config(self) -> DictConfig:
        """The composed config.

        Raises:
            InputError: the folder is no run folder, is damaged, or of another layout.
        """
        path = self.path / CONFIG
        if not path.is_file():
            raise InputError(
                f"{self.path} is no run folder (it has no {CONFIG}): give the folder that "
                "`loom train` named at its end"
            )
        register_resolvers()
        try:
            config = OmegaConf.load(path)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is damaged: it {fault(error)}") from error
        if not isinstance(config, DictConfig):
            raise InputError(f"{path} is damaged: it holds no settings")
        if missing := [axis for axis in NEEDED if not config.get(axis)]:
            raise InputError(f"{path} is damaged: it has no {', no '.join(missing)}")
        self.summary()  # which says how the folder is laid out
        trust_recorded(map(str, config.get("conf_dirs") or []))
        return config

    def holds(self, text: str) -> bool:
        """Whether some text stands in the composed config, if there is one."""
        path = self.path / CONFIG
        return path.is_file() and text.encode() in path.read_bytes()

    def overrides(self) -> list[str]:
        """The overrides the run was started with."""
        path, old = self.path / OVERRIDES, self.path / OLD_OVERRIDES
        if not path.is_file():
            return old.read_text(encoding="utf-8").splitlines() if old.is_file() else []
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is damaged: {first_line(error)}") from error
        if not (isinstance(found, list) and all(isinstance(o, str) for o in found)):
            raise InputError(f"{path} is damaged: it is no list of overrides")
        return found

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write summary.json, whole or not at all; a number that is not finite is null in it."""
        content = {"schema_version": SCHEMA_VERSION, **masked(summary)}
        write_atomically(self.path / SUMMARY, strict_json.dumps(content, indent=1) + "\n")

    def summary(self) -> dict[str, Any]:
        """The content of summary.json; empty if the run has not written it.

        Raises:
            InputError: it is damaged, or the folder is laid out as this loomlab does not know.
        """
        path = self.path / SUMMARY
        try:
            found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is damaged: {first_line(error)}") from error
        if not isinstance(found, dict):
            raise InputError(f"{path} holds no summary")
        layout = found.get("schema_version", SCHEMA_VERSION)
        if layout != SCHEMA_VERSION:
            raise InputError(
                f"{path}: schema_version is {layout!r}, and this loomlab reads {SCHEMA_VERSION}: "
                "use the version of loomlab that wrote the run"
            )
        return found


def make_private(path: Path) -> None:
    """Make a folder, unless it is there, that its owner alone may read."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file beside its destination and rename it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # what a full disk left of it


def find_runs(folder: Path) -> list[RunFolder]:
    """Every run folder at or below a folder, by path; not what loggers put into a run's own."""
    found = []
    for path, folders, files in os.walk(folder):
        if CONFIG in files:
            found.append(Path(path))
            folders[:] = [name for name in folders if name not in PARTS]
    return [RunFolder(path) for path in sorted(found)]
