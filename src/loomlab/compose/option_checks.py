"""Checks of one option against its class: its keys, its values, and what it checks itself."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from loomlab.catalog.annotation import read_annotation
from loomlab.catalog.problem import Problem
from loomlab.catalog.root import known_steps
from loomlab.catalog.source import ClassSource, SourceError, read_target
from loomlab.errors import did_you_mean

TARGET, RECURSIVE = "_target_", "_recursive_"  # which say how Hydra builds it


def unknown_keys(path: str, node: DictConfig, source: ClassSource) -> Iterator[Problem]:
    """Keys the class has no setting for."""
    settings = source.settings() if OmegaConf.get_type(node) is not dict else source.parameters
    for key in map(str, node):
        if key in settings or key == TARGET or _builds_parts(key, node, source):
            continue
        known = set(settings)
        if source.takes_any_keyword:
            known |= _imported_keywords(source.target)
        if key in source.parameters and source.parameters[key].keyword_only:
            yield Problem(f"{path}.{key}", "is given at run time and cannot be configured")
        elif key not in known:
            class_name = source.target.rpartition(".")[2]
            fix = did_you_mean(key, known, "settings")
            yield Problem(f"{path}.{key}", f"{class_name} has no setting '{key}'", fix)


def _builds_parts(key: str, node: DictConfig, source: ClassSource) -> bool:
    """Whether a key says that the options inside are built by the class itself, and not before."""
    return key == RECURSIVE and node[key] is False and source.attributes.get("builds_parts", False)


def _imported_keywords(target: str) -> set[str]:
    """Keyword parameters of a class and its bases, from the imported class itself.

    Only for keys added with `+` to a class that passes keywords on to a library.
    """
    module, _, name = target.rpartition(".")
    found: set[str] = set()
    for base in inspect.getmro(getattr(importlib.import_module(module), name)):
        if "__init__" in vars(base):
            found |= set(inspect.signature(vars(base)["__init__"]).parameters)
    return found - {"self", "args", "kwargs"}


def bad_values(path: str, node: DictConfig, source: ClassSource) -> Iterator[Problem]:
    """Values outside the bounds their annotation gives, and sizes that do not divide."""
    plain: dict[str, Any] = {}
    for name, parameter in source.parameters.items():
        if name not in node or OmegaConf.is_missing(node, name):
            continue
        try:
            plain[name] = node[name]
        except OmegaConfBaseException:
            continue  # an interpolation that cannot be resolved is reported as such
        complaint = read_annotation(parameter.annotation).complaint(plain[name])
        if complaint:
            choices = read_annotation(parameter.annotation).choices
            fix = did_you_mean(str(plain[name]), choices) if choices else ""
            yield Problem(f"{path}.{name}", complaint, fix if "mean" in fix else "")
    for whole, part in source.attributes.get("multiple_of", {}).items():
        big, small = plain.get(whole), plain.get(part)
        if isinstance(big, int) and isinstance(small, int) and small > 0 and big % small:
            fix = f"try {path}.{whole}={(big // small + 1) * small}"
            yield Problem(f"{path}.{whole}", f"{big} is not a multiple of {part}={small}", fix)


def own_checks(
    path: str, node: DictConfig, source: ClassSource, config: DictConfig
) -> Iterator[Problem]:
    """What the function named by a class's `problem_check` says of its settings.

    Only that function's module is imported, and only when the option is chosen.
    """
    module, _, name = str(source.attributes.get("problem_check", "")).rpartition(".")
    if not module:
        return
    check = getattr(importlib.import_module(module), name)
    plain: dict[str, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    settings = {key: value for key, value in plain.items() if key not in (TARGET, RECURSIVE)}
    wanted = _wanted(config)
    offered: dict[str, Any] = {**wanted, "config": config, "steps": _steps(config, wanted)}
    asked = inspect.signature(check).parameters
    context = {name: value for name, value in offered.items() if name in asked}
    for text in check(settings, **context):
        key, _, rest = str(text).partition(": ")
        key = key.removeprefix(f"{path}.")
        named = rest and " " not in key
        yield Problem(f"{path}.{key}" if named else path, rest if named else str(text))


def _wanted(config: DictConfig) -> dict[str, str]:
    """The model head the chosen objective trains, and how it reads its corpus."""
    try:
        declared = read_target(config.objective._target_).attributes
    except (SourceError, OmegaConfBaseException):
        declared = {}
    return {
        "head": str(declared.get("head", "causal_lm")),
        "reads": str(declared.get("reads", "windows")),
    }


def _steps(config: DictConfig, wanted: dict[str, str]) -> int | None:
    """Steps of the run, if the config tells; tokens of a batch of rows are known from the data."""
    if wanted["reads"] != "windows" and config.budget.tokens is not None:
        return None
    return known_steps(config.budget, _tokens_per_step(config))


def _tokens_per_step(config: DictConfig) -> int:
    """Tokens of a global batch; 1 while a size has no value, which is reported on its own."""
    sizes = ("global_batch_size", "sequence_length")
    if any(OmegaConf.is_missing(config, size) for size in sizes):
        return 1
    return int(config.global_batch_size * config.sequence_length)
