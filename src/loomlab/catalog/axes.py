"""The axes of an experiment: what each is for and which may hold several options at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from keyword import iskeyword
from pathlib import Path
from typing import Any

from loomlab.catalog.yaml_file import mapping


@dataclass(frozen=True)
class Axis:
    """One config group. Kind is outcome, speed, observe or run."""

    name: str
    kind: str
    multiple: bool = False


AXES = (
    Axis("model", "outcome"),
    Axis("attention", "outcome"),
    Axis("position", "outcome"),
    Axis("objective", "outcome"),
    Axis("corpus", "outcome"),
    Axis("tokenizer", "outcome"),
    Axis("optimizer", "outcome"),
    Axis("scheduler", "outcome"),
    Axis("regularization", "outcome", multiple=True),
    Axis("compression", "outcome", multiple=True),
    Axis("parallelism", "speed"),
    Axis("activation_checkpointing", "speed"),
    Axis("precision", "speed"),
    Axis("compile", "speed"),
    Axis("runtime", "speed"),
    Axis("probe", "observe", multiple=True),
    Axis("callbacks", "run", multiple=True),
    Axis("logger", "run", multiple=True),
    Axis("trainer", "run"),
    Axis("launch", "run"),
    Axis("sweep", "run"),
    Axis("paths", "run"),
    Axis("experiment", "run"),
    Axis("debug", "run"),
)
OF_MANY_RUNS = ("launch", "sweep")  # say nothing about a single run
OF_OTHER_VERBS = {
    "format": "export",
    "hardware": "plan",
}  # groups that are no axes, and the verb that takes them
SELECTORS = ("experiment", "debug")  # choose options of other axes; hold no settings of their own

OF_HYDRA = "hydra"  # groups below it are Hydra's own
SEARCH = "search"  # folder of an axis that holds what to search in its options, not options


def axis(name: str) -> Axis | None:
    """The axis of that name."""
    return next((a for a in AXES if a.name == name), None)


def may_be_key(group: str) -> bool:
    """Whether a folder of that name can be a group: one level deep, named like a variable."""
    return group.isidentifier() and not iskeyword(group)


def is_own(group: str) -> bool:
    """Whether a group that may be one is the user's: no axis, and for no other verb."""
    return may_be_key(group) and axis(group) is None and group not in OF_OTHER_VERBS


def options_in(folder: Path) -> dict[str, list[str]]:
    """Option names per group in one config folder."""
    groups: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*/**/*.yaml")):
        group = path.parent.relative_to(folder).as_posix()
        own = group.partition("/")[0] != OF_HYDRA and path.parent.name != SEARCH
        if not own or not path.is_file():
            continue
        groups.setdefault(group, []).append(path.stem)
    return groups


def all_options(folders: list[Path]) -> dict[str, list[str]]:
    """Option names per group over all config folders."""
    merged: dict[str, list[str]] = {}
    for folder in folders:
        for group, names in options_in(folder).items():
            merged[group] = sorted({*merged.get(group, []), *names})
    return merged


@cache
def option_text(folders: tuple[Path, ...], group: str, option: str) -> str:
    """The YAML text of an option; the first folder that has it wins, as in Hydra.

    Empty where it cannot be read: what a folder holds beside the options chosen stops nobody.
    """
    for folder in folders:
        path = folder / group / f"{option}.yaml"
        if path.is_file():
            try:
                return path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                return ""
    return ""


@cache
def option_content(folders: tuple[Path, ...], group: str, option: str) -> dict[str, Any]:
    """What the YAML of an option says itself, without what it builds on; not to be changed.

    Empty where it is no mapping: who chooses the option is told so when it is composed.
    """
    return mapping(option_text(folders, group, option))[0]


def option_target(
    folders: tuple[Path, ...], group: str, option: str, above: tuple[str, ...] = ()
) -> str:
    """The `_target_` of an option, through the presets it builds on; empty for none.

    `above` are the options that build on it.
    """
    content = option_content(folders, group, option)
    if "_target_" in content:
        return str(content["_target_"])
    defaults = content.get("defaults")
    for entry in defaults if isinstance(defaults, list) else ():
        name = entry.removesuffix("@_here_") if isinstance(entry, str) else ""
        preset = name and name != "_self_" and not name.startswith("/")
        if preset and name not in (option, *above):
            target = option_target(folders, group, name, (option, *above))
            if target:
                return target
    return ""
