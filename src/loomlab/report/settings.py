"""What runs were set to, as flat keys, and which of them tell the runs apart."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import yaml

from loomlab.secrets import MASK, is_secret

# Where a run lies, who watches it and how it was started: nothing it could be better for.
APART = ("paths", "logger", "launch", "sweep", "name", "resume", "conf_dirs", "choice", "hydra")
SEED = "seed"


@dataclass(frozen=True)
class Settings:
    """The settings of one run.

    `values` are flat: `optimizer` is the option picked, `optimizer.lr` its setting; seed and what
    is `APART` are not among them. `choice` has the options alone. `given` are the keys that its
    command line named; of a job that never started they are all there is, so it is not `whole`.
    """

    values: dict[str, Any]
    choice: dict[str, Any]
    given: frozenset[str] = frozenset()
    whole: bool = True


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a recorded config by its dotted key, with the options picked; no secret."""
    found: dict[str, Any] = dict(config.get("choice") or {})
    for key, node in config.items():
        if key not in ("choice", "conf_dirs", "hydra"):
            _flatten(str(key), node, found)
    return found


def _flatten(key: str, node: Any, found: dict[str, Any]) -> None:
    if isinstance(node, dict):
        for name, inner in node.items():
            _flatten(f"{key}.{name}", inner, found)
    else:
        secret = node is not None and _holds_secret(key.rpartition(".")[2])
        found[key] = MASK if secret and not isinstance(node, bool) else node


_holds_secret = cache(is_secret)


def of_config(config: Mapping[str, Any], overrides: Iterable[str] = ()) -> Settings:
    """The settings of a recorded run."""
    values = {k: v for k, v in flat(config).items() if not _apart(k)}
    return Settings(values, dict(config.get("choice") or {}), frozenset(_pairs(overrides)))


def of_overrides(overrides: Iterable[str]) -> Settings:
    """What is known of a job that never started: what its command line says."""
    values = {key: value for key, value in typed(overrides).items() if not _apart(key)}
    choice = {key: value for key, value in values.items() if "." not in key}
    return Settings(values, choice, frozenset(values), whole=False)


def typed(overrides: Iterable[str]) -> dict[str, Any]:
    """All that a command line says, by key."""
    return {key: parsed(text) for key, text in _pairs(overrides).items()}


def _pairs(overrides: Iterable[str]) -> dict[str, str]:
    pairs = (override.lstrip("+").partition("=") for override in overrides)
    return {key: text for key, equals, text in pairs if equals}


def _apart(key: str) -> bool:
    return key == SEED or key.partition(".")[0] in APART


def parsed(text: str) -> Any:
    """A value of a command line: a number, a list, a word."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def without(settings: Settings, axes: Iterable[str]) -> Settings:
    """The settings but for some axes: those that the run's model brings itself."""
    left_out = frozenset(axes)

    def kept(values: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in values.items() if k.partition(".")[0] not in left_out}

    return replace(settings, values=kept(settings.values), choice=kept(settings.choice))


def differing(runs: Sequence[Settings]) -> list[str]:
    """Keys that tell runs apart: options first, then their settings.

    A setting of an option (`optimizer.lr`) counts if runs of the same option differ in it, or if
    some command line gave it: that SGD has another default than AdamW is told by the option.
    """
    fullest_first = sorted(runs, key=lambda run: -len(run.choice))
    options = dict.fromkeys(axis for run in fullest_first if run.whole for axis in run.choice)
    keys = dict.fromkeys([*options, *(key for run in runs for key in run.values)])
    given = frozenset(key for run in runs for key in run.given)
    return [key for key in keys if _differs(key, runs, options, key in given)]


def _differs(key: str, runs: Sequence[Settings], options: Container[str], given: bool) -> bool:
    several = len({same_as(run.values[key]) for run in runs if key in run.values}) > 1
    if key in options or (given and several):
        return several
    scopes: dict[str, set[str]] = {}
    for run in runs:
        scope = _scope(key, run, options)
        if scope is not None:
            scopes.setdefault(scope, set()).add(same_as(run.values.get(key)))
    return any(len(found) > 1 for found in scopes.values())


def _scope(key: str, run: Settings, options: Container[str]) -> str | None:
    """Runs of one scope must agree in a setting; None for a run that could not have it."""
    axis, _, rest = key.partition(".")
    if not run.whole or (axis in options and axis not in run.choice):
        return None
    pick = run.choice.get(axis)
    if isinstance(pick, list):
        option = rest.partition(".")[0]
        return option if option in pick else None
    return same_as(pick)


def same_as(value: Any) -> str:
    """A text that equal values share: 1 and 1.0 are one value."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, default=str)


def shown(value: Any) -> str:
    """A value for a table: `lora+prune`, 0.001, and "-" for none."""
    if isinstance(value, list | tuple):
        return "+".join(map(shown, value)) or "-"
    return "-" if value is None else str(value)
