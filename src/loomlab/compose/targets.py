"""Every `_target_` of a config held to the allow-list, by name, before anything is imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from loomlab.allow import complaint, resolve, targets
from loomlab.catalog.axes import option_target
from loomlab.catalog.options import Catalog
from loomlab.catalog.problem import Problem
from loomlab.catalog.source import SourceError, read_target
from loomlab.errors import InputError, did_you_mean

BUILT_BY_HYDRA = ("launcher", "sweeper", "callbacks")
LOGGING = ("job_logging", "hydra_logging")
FACTORIES = {"()": ("logging.", "colorlog."), "class": ("logging.",)}
MAKES_NODES = ("oc.create", "oc.decode")


def forbidden_targets(
    config: DictConfig, resolved: dict[str, Any], catalog: Catalog
) -> Iterator[Problem]:
    """Targets that may not be built, wherever they stand, also in Hydra's own node.

    `resolved` is what `plain` makes of the rest of `config`.
    """
    for path, target in targets(resolved):
        why = complaint(target) or _hidden(target)
        if why:
            yield Problem(path, why, _meant(str(target), catalog))
    yield from forbidden_in_hydra(config)


def forbidden_in_hydra(config: DictConfig) -> Iterator[Problem]:
    """What Hydra itself would build or call by its node, and may not."""
    for part in BUILT_BY_HYDRA:
        node = plain(OmegaConf.select(config, f"hydra.{part}", throw_on_resolution_failure=False))
        for path, target in targets(node, f"hydra.{part}"):
            try:
                resolve(target, path)  # Hydra builds these itself, so they are judged here
            except InputError as error:
                yield Problem(path, str(error).removeprefix(f"{path}: "))
        for path, text in _strings(node, f"hydra.{part}"):
            if any(name in text for name in MAKES_NODES):
                yield Problem(path, f"{text} makes config out of text", "write it out")
    for part in LOGGING:
        node = OmegaConf.select(config, f"hydra.{part}", throw_on_resolution_failure=False)
        for path, text in _strings(plain(node), f"hydra.{part}"):
            allowed = FACTORIES.get(path.rpartition(".")[2])
            if allowed and not text.startswith(allowed):
                yield Problem(path, f"{text} is no class of Python's logging")


def plain(node: Any, leave_out: str = "") -> Any:
    """Dicts and lists with interpolations resolved; what cannot be resolved stays as written."""
    if not OmegaConf.is_config(node):
        return node
    if leave_out:
        return {str(k): _child(node, k) for k in node if k != leave_out}
    written: Any = OmegaConf.to_container(node, resolve=False)
    if "${" not in str(written):
        return written
    found = {}
    for key in range(len(node)) if OmegaConf.is_list(node) else list(node):
        told = written[key]
        deeper = isinstance(told, dict | list) or "${" in str(told)
        found[key] = _child(node, key) if deeper else told
    return list(found.values()) if OmegaConf.is_list(node) else found


def _child(node: Any, key: Any) -> Any:
    """What is under a key, resolved; as it is written where it leads nowhere."""
    try:
        return plain(node[key])
    except OmegaConfBaseException:
        (written,) = (v for k, v in _items(node) if k == key)
        return OmegaConf.to_container(written) if OmegaConf.is_config(written) else written


def _items(node: Any) -> Iterable[tuple[Any, Any]]:
    if OmegaConf.is_list(node):
        return enumerate(node._iter_ex(resolve=False))
    items: Iterable[tuple[Any, Any]] = node.items_ex(resolve=False)
    return items


def _hidden(target: str) -> str:
    """Why the class of an own name is not what its module defines; empty when it is."""
    try:
        source = read_target(target)
    except SourceError as error:
        return str(error) if target.startswith("loomlab.") else ""
    if target.startswith("loomlab.") and not source.is_class:
        return f"{target} is no class"
    refusal = complaint(source.origin)
    return f"{target} is really {source.origin}, which a config may not build" if refusal else ""


def _meant(target: str, catalog: Catalog) -> str:
    known = {
        option_target(catalog.folders, group, option)
        for group, options in catalog.options.items()
        for option in options
    }
    guess = did_you_mean(target, known - {""})
    return guess if guess.startswith("did") else ""


def _strings(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _strings(child, f"{path}.{key}")
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from _strings(child, f"{path}.{number}")
    elif isinstance(node, str):
        yield path, node
