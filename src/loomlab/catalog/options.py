"""Every option there is, with what its class says, for preflight and for `loom options`."""

from __future__ import annotations

import re
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from loomlab.catalog.axes import (
    AXES,
    SEARCH,
    Axis,
    all_options,
    is_own,
    option_content,
    option_target,
    option_text,
)
from loomlab.catalog.compatibility import Pick
from loomlab.catalog.own_axes import own_axis
from loomlab.catalog.search import package_conf
from loomlab.catalog.source import ClassSource, SourceError, read_target
from loomlab.catalog.yaml_file import mapping


class Catalog:
    """The options of all config folders."""

    def __init__(self, folders: list[Path]) -> None:
        self.folders = tuple(folders)
        self.options = all_options(folders)

    def picks(self, axis: str) -> list[Pick]:
        """All options of an axis whose class can be read."""
        found = []
        for option in self.options.get(axis, []):
            source = self.source(axis, option)
            if source is not None:
                found.append(Pick(axis, option, source, self.preset(axis, option)))
        return found

    def source(self, axis: str, option: str) -> ClassSource | None:
        """What the class of an option says; None for an option without a class."""
        target = option_target(self.folders, axis, option)
        if not target:
            return None
        try:
            return read_target(target)
        except SourceError:
            return None

    def describe(self, axis: str, option: str) -> str:
        """One line: the comment at the head of the YAML, else the first sentence of its class."""
        text = option_text(self.folders, axis, option)
        if wrong := mapping(text)[1]:
            return f"({option}.yaml {wrong})"
        comments = []
        for line in text.splitlines():
            if not line.startswith("#"):
                break
            if not line.startswith("# @package"):
                comments.append(line.lstrip("# "))
        if comments:
            return comments[0]
        source = self.source(axis, option)
        return _first_sentence(source.summary) if source else ""

    def preset(self, axis: str, option: str) -> dict[str, Any]:
        """Settings the YAML of an option changes from the defaults of its class."""
        content = option_content(self.folders, axis, option)
        return {k: v for k, v in content.items() if k not in ("defaults", "_target_")}

    def space(self, axis: str, option: str) -> str | None:
        """The text of an option's search space, AXIS/search/OPTION.yaml; None without one.

        That of the user's folders comes before that of the package.
        """
        for folder in reversed(self.folders):
            path = folder / axis / SEARCH / f"{option}.yaml"
            if path.is_file():
                return path.read_text(encoding="utf-8", errors="replace")
        return None

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """All axes, those of the user's own config groups last."""
        own = filter(is_own, self.options)
        return (*AXES, *(own_axis(group, self._first_source(group)) for group in own))

    def _first_source(self, group: str) -> ClassSource | None:
        found = (self.source(group, option) for option in self.options[group])
        return next((source for source in found if source is not None), None)

    def axis(self, name: str) -> Axis | None:
        """The axis of that name."""
        return next((a for a in self.axes if a.name == name), None)

    @cached_property
    def _all_picks(self) -> dict[str, list[Pick]]:
        return {a.name: self.picks(a.name) for a in self.axes}

    def fitting(self) -> dict[str, list[Pick]]:
        """All options per axis."""
        return self._all_picks


def _first_sentence(text: str) -> str:
    """Up to the first full stop that a capital follows (so `et al. 2017` does not end it)."""
    return re.split(r"(?<=\.)\s+(?=[A-Z`])", text, maxsplit=1)[0]


@cache
def default_options() -> dict[str, str]:
    """The option each single-select axis takes when none is named."""
    content = yaml.safe_load((package_conf() / "train.yaml").read_text(encoding="utf-8"))
    defaults: dict[str, str] = {}
    for entry in content["defaults"]:
        if isinstance(entry, dict):
            (axis, option), *_ = entry.items()
            if isinstance(option, str) and not axis.startswith("override "):
                defaults[axis] = option
    return defaults
