"""The run folder: the contract between training and every tool that reads runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from loomlab.component import make_importable
from loomlab.compose.resolvers import register_resolvers
from loomlab.errors import InputError

SCHEMA_VERSION = 1
SUMMARY = "summary.json"
CONFIG = "config.yaml"


class RunFolder:
    """Paths and records of one run.

    config.yaml (composed), overrides.txt, metrics.csv, summary.json, checkpoints/, samples.txt,
    train.log, and model/ (Transformers layout) once it is finished.
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
    def model(self) -> Path:
        """The finished model and its tokenizer in Transformers layout."""
        return self.path / "model"

    def create(self, config: DictConfig, overrides: list[str]) -> None:
        """Make the folder with the composed config and the overrides that led to it."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        write_atomically(self.path / CONFIG, OmegaConf.to_yaml(config, resolve=True))
        write_atomically(self.path / "overrides.txt", "".join(f"{o}\n" for o in overrides))

    def config(self) -> DictConfig:
        """The composed config.

        Raises:
            InputError: the folder is no run folder.
        """
        path = self.path / CONFIG
        if not path.is_file():
            raise InputError(
                f"{self.path} is no run folder (it has no {CONFIG}): give the folder that "
                "`loom train` named at its end"
            )
        register_resolvers()
        config = OmegaConf.load(path)
        assert isinstance(config, DictConfig)
        make_importable([Path(d) for d in config.get("conf_dirs", [])])
        return config

    def overrides(self) -> list[str]:
        """The overrides the run was started with."""
        path = self.path / "overrides.txt"
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write summary.json; it is there whole or not at all."""
        content = {"schema_version": SCHEMA_VERSION, **summary}
        write_atomically(self.path / SUMMARY, json.dumps(content, indent=1) + "\n")

    def summary(self) -> dict[str, Any]:
        """The content of summary.json; empty if the run has not written it."""
        path = self.path / SUMMARY
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_atomically(path: Path, text: str) -> None:
    """Write a text file beside its destination and rename it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def find_runs(folder: Path) -> list[RunFolder]:
    """Every run folder at or below a folder, by path."""
    return [RunFolder(p.parent) for p in sorted(folder.rglob(CONFIG)) if p.parent.name != "csv"]
