"""Typed schemas made from constructor signatures, so that Hydra itself refuses typos and types."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from loomlab.compose.annotation import read_annotation
from loomlab.compose.axes import AXES, all_options
from loomlab.compose.root import Experiment
from loomlab.compose.search import all_conf_dirs
from loomlab.compose.source import MISSING, ClassSource, SourceError, read_target

_TARGET = re.compile(r"^_target_:\s*(\S+)\s*$", re.MULTILINE)


def register_schemas(arguments: list[str] | None = None) -> None:
    """Store a schema for the root config and for every option that asks for one."""
    store = ConfigStore.instance()
    folders = all_conf_dirs(arguments)
    store.store(name="experiment_schema", node=_root_schema(folders))
    for group, option, target in _options_with_target(folders):
        try:
            source = read_target(target)
        except SourceError:
            continue  # the preflight names it when the option is chosen
        store.store(group=f"schema/{group}", name=option, node=option_schema(source))


def option_schema(source: ClassSource) -> type:
    """A dataclass with the settings of an option as fields."""
    fields: list[tuple[str, Any, Any]] = [("_target_", str, source.target)]
    for name, parameter in source.settings().items():
        if parameter.default is not MISSING:
            kind = read_annotation(parameter.annotation).type
            fields.append((name, kind, _field(parameter.default)))
    class_name = source.target.rpartition(".")[2]
    return dataclasses.make_dataclass(class_name, fields)


def _field(default: Any) -> Any:
    if isinstance(default, tuple):
        default = list(default)
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default))
    return default


def _options_with_target(folders: list[Path]) -> Iterator[tuple[str, str, str]]:
    """Every option file that names its class and builds on a schema."""
    for folder in folders:
        for path in folder.glob("*/*.yaml"):
            text = path.read_text(encoding="utf-8")
            match = _TARGET.search(text)
            if match and "/schema/" in text:
                yield path.parent.name, path.stem, match.group(1)


def _root_schema(folders: list[Path]) -> type:
    """The root: typed values shared by all options, and one open field per group."""
    groups = dict.fromkeys(
        [a.name for a in AXES] + [g.split("/")[0] for g in all_options(folders)]
    )
    taken = {f.name for f in dataclasses.fields(Experiment)}
    open_fields: list[tuple[str, Any, Any]] = [
        (name, Any, dataclasses.field(default_factory=dict))
        for name in groups
        if name not in taken and name not in ("hydra", "experiment", "debug")
    ]
    return dataclasses.make_dataclass("Experiment", open_fields, bases=(Experiment,))
