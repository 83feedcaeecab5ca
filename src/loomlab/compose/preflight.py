"""The second gate: everything about a composed config that can be known without building it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from loomlab.catalog.annotation import Meaning
from loomlab.catalog.axes import AXES, OF_OTHER_VERBS, SELECTORS, Axis
from loomlab.catalog.choices import chosen
from loomlab.catalog.compatibility import Pick, all_refusals
from loomlab.catalog.options import Catalog, default_options
from loomlab.catalog.own_axes import own_axes, problems_of_own
from loomlab.catalog.problem import Problem
from loomlab.catalog.root import BUDGETS, Budget, Experiment
from loomlab.catalog.source import SourceError, read_target
from loomlab.compose.hydra_node import not_as_checked
from loomlab.compose.initial_weights import problems_of_init
from loomlab.compose.metric_checks import metric_problems
from loomlab.compose.option_checks import bad_values, own_checks, unknown_keys
from loomlab.compose.parts import problems_of_parts
from loomlab.compose.targets import forbidden_targets, plain
from loomlab.errors import did_you_mean, first_line
from loomlab.measure.split import Uneven, split_batch

PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
PATHS = ("output_dir", "sweep_dir", "cache_dir")
ROOT_RANGES = {
    "seed": "[0, 4294967295]",
    "sequence_length": "[2, inf)",
    "global_batch_size": "[1, inf)",
    "micro_batch_size": "[1, inf)",
    "layer_decay": "(0, 1]",
    **{f"budget.{kind}": "(0, inf)" for kind in BUDGETS},
}


def preflight(config: DictConfig, catalog: Catalog) -> list[Problem]:
    """All problems of a composed config; empty means it may train."""
    resolved = plain(config, leave_out="hydra")
    problems = [*_unresolved(config, resolved), *_unknown_keys(config, catalog), *_root(config)]
    forbidden = list(forbidden_targets(config, resolved, catalog))
    problems += forbidden
    picks: list[Pick] = []
    names = chosen(config)
    own = own_axes(config)
    for axis in (*AXES, *own):
        if axis.name in SELECTORS or axis.name == "paths":
            continue
        for path, option, node in _nodes(config, axis, names):
            if "_target_" not in node:
                if axis in own:
                    continue
                problems.append(_ghost(axis, path, option, catalog))
                continue
            if any(problem.path == f"{path}._target_" for problem in forbidden):
                continue  # nothing of it is read or imported
            try:
                source = read_target(node._target_)
            except SourceError as error:
                problems.append(Problem(f"{path}._target_", str(error)))
                continue
            picks.append(Pick(axis.name, option, source, _plain(node)))
            wrong = [*unknown_keys(path, node, source), *bad_values(path, node, source)]
            # An option's own check may rely on the bounds of its settings.
            problems += wrong or own_checks(path, node, source, config)
    problems += all_refusals(picks, default_options(), catalog.fitting)
    problems += problems_of_parts(config, catalog)
    problems += problems_of_own(config, own, picks, catalog.options)
    problems += [*_refused_settings(config, picks), *_gradient_only(config, picks)]
    return [
        *problems,
        *_batch(config, picks),
        *metric_problems(config, picks),
        *_sources(config, resolved),
        *not_as_checked(config),
    ]


def _plain(node: DictConfig) -> dict[str, Any]:
    """The settings of an option, interpolations as written."""
    return OmegaConf.to_container(node, resolve=False)  # type: ignore[return-value]


def _nodes(
    config: DictConfig, axis: Axis, names: dict[str, Any]
) -> Iterator[tuple[str, str, DictConfig]]:
    """(path, option, node) of every option chosen on an axis."""
    node = config.get(axis.name)
    if not isinstance(node, DictConfig):
        return
    if axis.multiple:
        for option, child in node.items():
            if isinstance(child, DictConfig):
                yield f"{axis.name}.{option!s}", str(option), child
    else:
        yield axis.name, str(names.get(axis.name)), node


def _ghost(axis: Axis, path: str, option: str, catalog: Catalog) -> Problem:
    """A value set for an option that was not selected."""
    known = catalog.options.get(axis.name, [])
    if axis.multiple and option in known:
        fix = f"add it: {axis.name}=[...,{option}]"
        return Problem(path, f"values are set for {option}, which is not selected", fix)
    return Problem(path, "no such option is selected", did_you_mean(option, known, "options"))


def _unresolved(config: DictConfig, resolved: dict[str, Any]) -> Iterator[Problem]:
    """Missing values and interpolations that lead nowhere: `resolved` has them as written."""
    for path, node in _walk(config):
        if node == "???":
            yield Problem(path, "has no value", f"give one: {path}=...")
        if not (isinstance(node, str) and "${" in node):
            continue
        if _at(resolved, path) != node:
            continue
        key = path.rpartition(".")[2]
        parent = OmegaConf.select(config, path.rpartition(".")[0]) if "." in path else config
        try:
            _ = parent[int(key) if isinstance(parent, ListConfig) else key]
        except OmegaConfBaseException as error:
            yield Problem(path, f"{node} cannot be resolved: {first_line(error)}")


def _at(node: Any, path: str) -> Any:
    """What lies in plain values under a path; None where a part of it was put in as a whole."""
    for key in path.split("."):
        if isinstance(node, dict):
            node = node.get(key)
        elif isinstance(node, list):
            node = node[int(key)]
        else:
            return None
    return node


def _walk(config: DictConfig) -> Iterator[tuple[str, Any]]:
    """Every leaf with its path, interpolations as written; Hydra's own node is left out."""
    stack: list[tuple[str, Any]] = [
        (str(k), OmegaConf.to_container(v, resolve=False) if OmegaConf.is_config(v) else v)
        for k, v in config.items_ex(resolve=False)
        if k != "hydra"
    ]
    while stack:
        path, node = stack.pop()
        if isinstance(node, dict):
            stack += [(f"{path}.{k}", v) for k, v in node.items()]
        elif isinstance(node, list):
            stack += [(f"{path}.{i}", v) for i, v in enumerate(node)]
        else:
            yield path, node


def _unknown_keys(config: DictConfig, catalog: Catalog) -> Iterator[Problem]:
    """Keys added with `+` beside the shared settings, where nothing would ever read them."""
    shared = {f.name for f in dataclasses.fields(Experiment)}
    axes = {a.name for a in AXES} | {group.split("/")[0] for group in catalog.options}
    budget = {f.name for f in dataclasses.fields(Budget)}
    for group, verb in OF_OTHER_VERBS.items():
        if config.get(group):
            yield Problem(group, f"is for `loom {verb}`, not for a run", f"leave out +{group}")
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


def _refused_settings(config: DictConfig, picks: list[Pick]) -> Iterator[Problem]:
    """Settings of one option that another cannot honour."""
    for pick in picks:
        for path, values in pick.declares("refuses", {}).items():
            value = OmegaConf.select(config, path)
            if value is not None and value in values:
                why = pick.declares("because", {}).get(path, f"{pick} cannot honour it")
                yield Problem(path, f"{value} does not go with {pick}: {why}")


def _gradient_only(config: DictConfig, picks: list[Pick]) -> Iterator[Problem]:
    """Shared settings that steer gradients, set for a model that has none."""
    for pick in picks:
        if pick.declares("trained_by", "gradient") != "gradient":
            for key, unset in (("freeze", []), ("layer_decay", 1.0)):
                if config.get(key) != unset:
                    yield Problem(key, f"{pick} is not trained by gradient", f"leave out {key}")


def _batch(config: DictConfig, picks: list[Pick]) -> list[Problem]:
    """The batch must split evenly over processes and micro-steps."""
    total = config.global_batch_size
    devices = OmegaConf.select(config, "parallelism.devices") or 1
    devices *= OmegaConf.select(config, "parallelism.num_nodes") or 1
    devices = OmegaConf.select(config, "parallelism.data_parallel") or devices  # that read rows
    devices //= OmegaConf.select(config, "parallelism.tensor_parallel") or 1  # read the same ones
    if any(pick.declares("one_share", False) for pick in picks):
        devices = 1
    steps = OmegaConf.select(config, "trainer.accumulate_grad_batches")
    micro = OmegaConf.select(config, "micro_batch_size")
    parts = OmegaConf.select(config, "parallelism.micro_batches") or 1
    given = (total, devices, parts, 1 if steps is None else steps, 1 if micro is None else micro)
    if not all(isinstance(number, int) and number > 0 for number in given):
        return []  # reported on its own
    try:
        split_batch(total, devices, steps, micro, parts)
    except Uneven as error:
        return [Problem(error.key, error.what, error.fix)]
    return []


def _sources(config: DictConfig, resolved: dict[str, Any]) -> Iterator[Problem]:
    """Folders of earlier runs must be there; what cannot be resolved is reported on its own."""
    known = {k: v for k, v in resolved.items() if v != "???" and "${" not in str(v)}
    for key in ("init", "resume"):
        value = known.get(key)
        if value == "":
            yield Problem(key, "is empty", f"give a folder, or leave {key} out")
        elif key == "init" and value is not None:  # a run that goes on has its weights
            yield from [] if known.get("resume") else problems_of_init(str(value), resolved)
        elif value is not None and not Path(str(value)).exists():
            yield Problem(key, f"{value} does not exist", "give a run folder")
    for key, value in resolved["paths"].items():
        if key not in PATHS:
            yield Problem(f"paths.{key}", "there is no such path", did_you_mean(str(key), PATHS))
        elif value == "":
            yield Problem(f"paths.{key}", "is empty", "give a folder")
    name = known.get("name")
    if name is not None and not PLAIN_NAME.fullmatch(str(name)):
        what = f"'{name}' is no plain name"
        yield Problem("name", what, "use letters, digits, '.', '_' and '-', at most 128")
