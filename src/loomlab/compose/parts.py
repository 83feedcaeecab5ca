"""Corpora that another one is made of: composed beside it, and checked like any chosen option."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from loomlab.catalog.options import Catalog
from loomlab.catalog.problem import Problem
from loomlab.catalog.source import ClassSource, SourceError, read_target
from loomlab.compose.option_checks import bad_values, own_checks, unknown_keys
from loomlab.errors import did_you_mean

AXIS = "corpus"
PLACE = f"{AXIS}.of"


def settings_of_parts(job: list[str]) -> list[str]:
    """The overrides of a job that set something in a part, which must be there first."""
    return [o for o in job if o.lstrip("+~").startswith(f"{PLACE}.")]


def missing_parts(config: DictConfig, catalog: Catalog) -> list[str]:
    """Overrides that compose the parts that a corpus names, where they are options."""
    node = config.get(AXIS)
    if not _has_parts(node):
        return []
    there = node.get("of") or {}
    return [
        f"+{AXIS}@{PLACE}.{name}={name}"
        for name in dict.fromkeys(map(str, node.get("parts") or []))
        if name not in there and name in _options(catalog)
    ]


def problems_of_parts(config: DictConfig, catalog: Catalog) -> Iterator[Problem]:
    """Parts that are no corpora, and what is wrong with the settings of the others."""
    node = config.get(AXIS)
    if not _has_parts(node):
        return
    there = node.get("of") or {}
    for name in map(str, node.get("parts") or []):
        if name not in there:
            fix = did_you_mean(name, _options(catalog), "options")
            yield Problem(f"{AXIS}.parts", f"'{name}' is no corpus to be a part", fix)
    for name, child in there.items():
        path = f"{PLACE}.{name}"
        try:
            source = read_target(child._target_)
        except (SourceError, OmegaConfBaseException, AttributeError):
            yield Problem(path, "says nothing of what it is", f"choose: +{AXIS}@{path}=OPTION")
            continue
        if _made_of_parts(source):
            yield Problem(path, "has parts of its own", f"name those in {AXIS}.parts")
            continue
        wrong = [*unknown_keys(path, child, source), *bad_values(path, child, source)]
        yield from wrong or own_checks(path, child, source, config)


def _has_parts(node: object) -> bool:
    if not (isinstance(node, DictConfig) and "parts" in node):
        return False
    try:
        return _made_of_parts(read_target(node._target_))
    except (SourceError, OmegaConfBaseException, AttributeError):
        return False  # reported on its own


def _made_of_parts(source: ClassSource | None) -> bool:
    return source is not None and bool(source.attributes.get("builds_parts"))


def _options(catalog: Catalog) -> list[str]:
    """Corpora that can be parts: all but those that are made of parts."""
    return [
        option
        for option in catalog.options.get(AXIS, [])
        if not _made_of_parts(catalog.source(AXIS, option))
    ]
