"""The second gate: everything about a composed config that can be known without building it."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from loomlab.compose.annotation import Meaning, read_annotation
from loomlab.compose.axes import AXES, SELECTORS, Axis
from loomlab.compose.catalog import Catalog, default_options
from loomlab.compose.choices import chosen
from loomlab.compose.compatibility import Pick, all_refusals
from loomlab.compose.problem import Problem, did_you_mean
from loomlab.compose.root import BUDGETS, Budget, Experiment
from loomlab.compose.source import ClassSource, SourceError, read_target

ROOT_RANGES = {
    "seed": "[0, 4294967295]",
    "sequence_length": "[2, inf)",
    "global_batch_size": "[1, inf)",
    **{f"budget.{kind}": "(0, inf)" for kind in BUDGETS},
}


def preflight(config: DictConfig, catalog: Catalog) -> list[Problem]:
    """All problems of a composed config; empty means it may train."""
    problems = [*_unresolved(config), *_unknown_keys(config, catalog), *_root(config)]
    picks: list[Pick] = []
    for axis in AXES:
        if axis.name in SELECTORS or axis.name == "paths":
            continue
        for path, option, node in _nodes(config, axis):
            if "_target_" not in node:
                problems.append(_ghost(axis, path, option, catalog))
                continue
            try:
                source = read_target(node._target_)
            except SourceError as error:
                problems.append(Problem(f"{path}._target_", str(error)))
                continue
            picks.append(Pick(axis.name, option, source))
            problems += [*_keys(path, node, source), *_values(path, node, source)]
            problems += _own_checks(path, node, source, config)
    problems += all_refusals(picks, default_options(), catalog.fitting())
    problems += _refused_settings(config, picks)
    return problems + _batch(config)


def _nodes(config: DictConfig, axis: Axis) -> Iterator[tuple[str, str, DictConfig]]:
    """(path, option, node) of every option chosen on an axis."""
    node = config.get(axis.name)
    if not isinstance(node, DictConfig):
        return
    if axis.multiple:
        for option, child in node.items():
            if isinstance(child, DictConfig):
                yield f"{axis.name}.{option!s}", str(option), child
    else:
        yield axis.name, str(chosen(config).get(axis.name)), node


def _ghost(axis: Axis, path: str, option: str, catalog: Catalog) -> Problem:
    """A value set for an option that was not selected."""
    known = catalog.options.get(axis.name, [])
    if axis.multiple and option in known:
        fix = f"add it: {axis.name}=[...,{option}]"
        return Problem(path, f"values are set for {option}, which is not selected", fix)
    return Problem(path, "no such option is selected", did_you_mean(option, known, "options"))


def _unresolved(config: DictConfig) -> Iterator[Problem]:
    """Missing values and interpolations that lead nowhere."""
    for path, node in _walk(config):
        if node == "???":
            yield Problem(path, "has no value", f"give one: {path}=...")
        key = path.rpartition(".")[2]
        parent = OmegaConf.select(config, path.rpartition(".")[0]) if "." in path else config
        if not (isinstance(node, str) and "${" in node):
            continue
        try:
            _ = parent[int(key) if isinstance(parent, ListConfig) else key]
        except OmegaConfBaseException as error:
            yield Problem(path, f"{node} cannot be resolved: {str(error).splitlines()[0]}")


def _walk(config: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with its path, interpolations as written; Hydra's own node is left out."""
    plain = OmegaConf.to_container(config, resolve=False)
    stack: list[tuple[str, Any]] = [(prefix, plain)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, dict):
            stack += [
                (f"{path}.{k}".lstrip("."), v) for k, v in node.items() if path or k != "hydra"
            ]
        elif isinstance(node, list):
            stack += [(f"{path}.{i}", v) for i, v in enumerate(node)]
        else:
            yield path, node


def _unknown_keys(config: DictConfig, catalog: Catalog) -> Iterator[Problem]:
    """Keys added with `+` beside the shared settings, where nothing would ever read them."""
    shared = {f.name for f in dataclasses.fields(Experiment)}
    axes = {a.name for a in AXES} | {group.split("/")[0] for group in catalog.options}
    budget = {f.name for f in dataclasses.fields(Budget)}
    for path, node, known in (
        ("", config, shared | axes | {"hydra"}),
        ("budget.", config.budget, budget),
    ):
        for key in map(str, node):
            if key not in known:
                fix = did_you_mean(key, known)
                yield Problem(f"{path}{key}", "there is no such key or axis", fix)


def _root(config: DictConfig) -> Iterator[Problem]:
    """Ranges of the shared settings, and the one budget."""
    for path, interval in ROOT_RANGES.items():
        value = OmegaConf.select(config, path)
        complaint = Meaning(interval=interval).complaint(value)
        if complaint:
            yield Problem(path, complaint)
    given = [k for k in BUDGETS if OmegaConf.select(config, f"budget.{k}") is not None]
    if len(given) > 1:
        keys = " and ".join(f"budget.{k}" for k in given)
        yield Problem("budget", f"{keys} are both set", f"keep one: budget.{given[0]}=null")


def _keys(path: str, node: DictConfig, source: ClassSource) -> Iterator[Problem]:
    """Keys the class has no setting for."""
    settings = source.settings() if OmegaConf.get_type(node) is not dict else source.parameters
    for key in map(str, node):
        if key in settings or key.startswith("_"):
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


def _values(path: str, node: DictConfig, source: ClassSource) -> Iterator[Problem]:
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


def _own_checks(
    path: str, node: DictConfig, source: ClassSource, config: DictConfig
) -> Iterator[Problem]:
    """What a class that has a `problems` method says of its settings; only then imported."""
    if "problems" not in source.methods:
        return
    module, _, name = source.target.rpartition(".")
    check = getattr(importlib.import_module(module), name).problems
    settings = OmegaConf.to_container(node, resolve=True)
    settings.pop("_target_")  # type: ignore[union-attr, arg-type]
    context: dict[str, Any] = {}
    if "architecture" in inspect.signature(check).parameters:
        context["architecture"] = _wanted_architecture(config)
    for text in check(settings, **context):
        key, _, rest = str(text).partition(": ")
        key = key.removeprefix(f"{path}.")
        yield Problem(f"{path}.{key}" if rest and " " not in key else path, rest or key)


def _wanted_architecture(config: DictConfig) -> str:
    """The first kind of model the chosen objective accepts."""
    try:
        requires = read_target(config.objective._target_).attributes.get("requires", {})
    except (SourceError, OmegaConfBaseException):
        return "decoder"
    return str(next(iter(requires.get("model.architecture", ("decoder",)))))


def _refused_settings(config: DictConfig, picks: list[Pick]) -> Iterator[Problem]:
    """Settings of one option that another cannot honour."""
    for pick in picks:
        for path, values in pick.declares("refuses", {}).items():
            value = OmegaConf.select(config, path)
            if value is not None and value in values:
                why = pick.declares("because", {}).get(path, f"{pick} cannot honour it")
                yield Problem(path, f"{value} does not go with {pick}: {why}")


def _batch(config: DictConfig) -> list[Problem]:
    """The batch must split evenly over processes and micro-steps."""
    total = config.global_batch_size
    devices = OmegaConf.select(config, "parallelism.devices") or 1
    steps = OmegaConf.select(config, "trainer.accumulate_grad_batches") or 1
    parts = devices * steps
    if not isinstance(total, int) or total < 1 or parts < 1 or total % parts == 0:
        return []
    what = f"{total} rows cannot be shared by {devices} processes x {steps} micro-steps"
    below, above = total // parts * parts, (total // parts + 1) * parts
    nearest = f"{below} or {above}" if below else str(above)
    return [Problem("global_batch_size", what, f"nearest that can: {nearest}")]
