"""Typed schemas made from constructor signatures, so that Hydra itself refuses typos and types."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from loomlab.catalog.annotation import read_annotation
from loomlab.catalog.axes import AXES, all_options, may_be_key, option_text
from loomlab.catalog.root import Experiment
from loomlab.catalog.search import all_conf_dirs
from loomlab.catalog.source import MISSING, ClassSource, SourceError, read_target

_TARGET = re.compile(r"^_target_:\s*(\S+)\s*$", re.MULTILINE)


def register_schemas(arguments: list[str] | None = None) -> int:
    """Store a schema for the root config and for every option that asks for one.

    What is stored already stays; the number counts how often anything was stored.
    """
    folders = all_conf_dirs(arguments)
    _keep(None, "experiment_schema", tuple(_open_groups(folders)), _root_schema)
    for group, option, target in _options_with_target(folders):
        try:
            source = read_target(target)
        except SourceError:
            continue  # the diagnosis names it when the option is chosen
        _keep(f"schema/{group}", option, source, option_schema)
    return _stored.changes


class _Stored:
    """What ConfigStore holds of ours, and where each comes from."""

    def __init__(self) -> None:
        self.origins: dict[tuple[str | None, str], Any] = {}
        self.changes = 0


_stored = _Stored()


def _keep(group: str | None, name: str, origin: Any, schema: Callable[[Any], type]) -> None:
    """Store a schema unless the one of the same origin is there."""
    key = (group, name)
    if _stored.origins.get(key) != origin:
        ConfigStore.instance().store(group=group, name=name, node=schema(origin))
        _stored.origins[key] = origin
        _stored.changes += 1


def option_schema(source: ClassSource) -> type:
    """A dataclass with the settings of an option as fields."""
    fields: list[tuple[str, Any, Any]] = [("_target_", str, source.target)]
    for name, parameter in source.settings().items():
        if parameter.default is not MISSING:
            kind = read_annotation(parameter.annotation).type
            fields.append((name, kind, _field(parameter.default)))
    if source.attributes.get("builds_parts"):  # options inside it, which are not Hydra's to build
        fields.append(("_recursive_", bool, False))
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
            text = option_text((folder,), path.parent.name, path.stem)
            match = _TARGET.search(text)
            if match and "/schema/" in text:
                yield path.parent.name, path.stem, match.group(1)


def _open_groups(folders: list[Path]) -> Iterator[str]:
    """Groups that the root does not name itself; a folder of another name can be no key."""
    groups = dict.fromkeys(
        [a.name for a in AXES] + [g.split("/")[0] for g in all_options(folders)]
    )
    taken = {f.name for f in dataclasses.fields(Experiment)} | {"hydra", "experiment", "debug"}
    for name in groups:
        if name not in taken and may_be_key(name):
            yield name


def _root_schema(groups: tuple[str, ...]) -> type:
    """The root: typed values shared by all options, and one open field per group."""
    fields: list[tuple[str, Any, Any]] = [
        (name, Any, dataclasses.field(default_factory=dict)) for name in groups
    ]
    return dataclasses.make_dataclass("Experiment", fields, bases=(Experiment,))
