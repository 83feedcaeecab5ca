"""The first gate's refusals in words to act on; Hydra stops at the first, this does not."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from keyword import iskeyword

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from loomlab.catalog.axes import AXES, OF_HYDRA, SELECTORS, axis, option_target
from loomlab.catalog.options import Catalog
from loomlab.catalog.problem import Problem
from loomlab.catalog.source import SourceError, read_target
from loomlab.catalog.yaml_file import BadConfigFile
from loomlab.compose.composer import compose_job
from loomlab.compose.hydra_node import SEARCH_PATH
from loomlab.errors import did_you_mean, first_line

COMPOSE_ERRORS = (HydraException, OmegaConfBaseException, ValueError)  # last: group=null


def diagnose(
    overrides: list[str], error: Exception, loader: ConfigLoader, catalog: Catalog
) -> tuple[list[Problem], list[str]]:
    """Every override that Hydra would refuse, found by trying each on its own; and the rest."""
    parsed, problems = _parse(overrides, loader)
    options = {o.key_or_group: _options(o.key_or_group, loader, catalog) for o in parsed}
    groups = [o for o in parsed if options[o.key_or_group] or o.key_or_group == SEARCH_PATH]
    good_groups = []
    for override in groups:
        known = options[override.key_or_group]
        found = list(_group_problems(override, known)) if known else []
        problems += found
        if not found:
            good_groups.append(override.input_line or "")
    base, failure = _try(good_groups)
    if base is None:
        return problems or [_config_problem(failure or error, catalog)], []
    good, config = list(good_groups), copy.deepcopy(base)
    for override in parsed:
        if override not in groups:
            found = list(_value_problems(override, config, base, catalog))
            problems += found
            good += [] if found else [override.input_line or ""]
    return problems or [_config_problem(error, catalog)], good


def _parse(overrides: list[str], loader: ConfigLoader) -> tuple[list[Override], list[Problem]]:
    parser = OverridesParser.create(config_loader=loader)
    parsed, problems = [], []
    for text in overrides:
        try:
            parsed += parser.parse_overrides([text])
        except (OverrideParseException, HydraException):
            fix = (
                "write key=value; quote a value that holds = , spaces or letters beyond ASCII: "
                "key='\"a=b\"'"
            )
            problems.append(Problem(text, "cannot be read as an override", fix))
    return parsed, problems


def _options(key: str, loader: ConfigLoader, catalog: Catalog) -> list[str]:
    """The options of a group, ours or Hydra's; none for a key that is no group."""
    if key.startswith(f"{OF_HYDRA}/"):
        return loader.get_group_options(key)
    return catalog.options.get(key, [])


def _group_problems(override: Override, known: list[str]) -> Iterator[Problem]:
    """Options that do not exist, among those that do."""
    group = override.key_or_group
    value = override.value()
    if override.is_delete():
        return
    if iskeyword(group):
        yield Problem(group, "is a word of Python and can be no group", "rename its folder")
        return
    if value is None:
        yield Problem(group, "null is no option", _instead_of_null(group, known))
        return
    if override.is_sweep_override():
        yield Problem(group, "takes one option, not several", "for a sweep over them add -m")
        return
    names = value if isinstance(value, list) else [value]
    for name in names:
        if str(name) in known:
            continue
        what = f"there is no option '{name}'"
        yield Problem(group, what, did_you_mean(str(name), known, "options"))
    declared = axis(group)
    if isinstance(value, list) and declared is not None and not declared.multiple:
        yield Problem(group, "takes one option, not a list", f"write {group}={names[0]}")


def _instead_of_null(group: str, known: list[str]) -> str:
    """What to write for no option at all, where an axis may go without."""
    declared = axis(group)
    if declared is not None and declared.multiple:
        return f"for none write {group}=[]"
    if group in SELECTORS:
        return f"for none leave {group} out"
    return f"options: {', '.join(known)}"


def _try(overrides: list[str]) -> tuple[DictConfig | None, Exception | None]:
    try:
        return compose_job(overrides), None
    except COMPOSE_ERRORS as error:
        return None, error


def _set(config: DictConfig, override: Override) -> Exception | None:
    """Set a value as Hydra does; why that fails, if it does."""
    try:
        ConfigLoaderImpl._apply_overrides_to_config([override], config)
    except COMPOSE_ERRORS as error:
        return error
    return None


def _value_problems(
    override: Override, config: DictConfig, base: DictConfig, catalog: Catalog
) -> Iterator[Problem]:
    """What is wrong with one value override on top of the options and the values before it."""
    line, key = override.input_line or "", override.key_or_group
    if override.is_sweep_override():
        yield Problem(key, "takes one value, not several", "for a sweep over them add -m")
        return
    error = _set(config, override)
    if error is None:
        return
    parent_path, _, leaf = key.rpartition(".")
    parent = OmegaConf.select(base, parent_path) if parent_path else base
    if isinstance(parent, DictConfig) and leaf in parent and not override.is_add():
        if OmegaConf.is_dict(parent[leaf]) and isinstance(override.value(), dict):
            yield Problem(key, "its keys are new", f"write ++{line.lstrip('+')}")
        else:
            yield Problem(key, _type_complaint(error))
        return
    if parent is None or not isinstance(parent, DictConfig):
        yield _missing_parent(key, base, catalog)
        return
    names = [str(k) for k in parent if not str(k).startswith("_") and k != "hydra"]
    if parent is base:
        names += [a.name for a in AXES]
        yield Problem(key, "there is no such key or axis", did_you_mean(leaf, names))
        return
    if not names and OmegaConf.get_type(parent) is dict:
        yield Problem(key, "is a new key", f"write +{line}")
        return
    owner = str(parent.get("_target_", parent_path)).rpartition(".")[2]
    yield Problem(key, f"{owner} has no setting '{leaf}'", did_you_mean(leaf, names, "settings"))


def _missing_parent(key: str, base: DictConfig, catalog: Catalog) -> Problem:
    """A key below something that is not there: a misspelled axis or an option not selected."""
    first, _, rest = key.partition(".")
    option = rest.partition(".")[0]
    declared = axis(first)
    if declared is not None and declared.multiple and option in catalog.options.get(first, []):
        fix = f"add it: {first}=[...,{option}]"
        return Problem(key, f"{option} is not selected on axis {first}", fix)
    if first not in base:
        names = [str(k) for k in base if k != "hydra"]
        return Problem(key, f"there is no axis or key '{first}'", did_you_mean(first, names))
    names = [str(k) for k in base[first] if not str(k).startswith("_")]
    return Problem(key, "there is no such key", did_you_mean(option, names))


def _config_problem(error: Exception, catalog: Catalog) -> Problem:
    """What a config file of an experiment or an option got wrong, with its key where known."""
    if isinstance(error, BadConfigFile):
        return Problem(error.path, error.why, "mend it, or choose another")
    if group := re.match(r"Could not override '([^'@]+)'", str(error)):
        options = catalog.options.get(group[1], ["OPTION"])
        fix = f"write +{group[1]}={'|'.join(options)}"
        return Problem(group[1], "is not among the defaults", fix)
    if schema := re.search(r"Could not load 'schema/([^/']+)/([^']+)'", str(error)):
        try:
            read_target(option_target(catalog.folders, schema[1], schema[2]))
        except SourceError as why:
            return Problem(f"{schema[1]}={schema[2]}", str(why))
        if "/" in schema[2]:
            what, fix = "its group is more than one folder deep", "name it conf/GROUP/OPTION.yaml"
            return Problem(f"{schema[1]}/{schema[2]}", what, fix)
    where = re.match(r"In '(.*)': \w+ raised while composing config:\n(.*)", str(error))
    if where is None:
        return Problem("config", first_line(error))
    key = re.search(r"full_key: (\S+)", str(error))
    return Problem(key[1] if key else "config", f"{where[2]}, but {where[1]} sets it")


def _type_complaint(error: Exception) -> str:
    """Hydra's message about a value, without its wrapping."""
    cause = error.__cause__ or error
    text = first_line(cause)
    match = re.search(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", text)
    if match:
        kind = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}
        return f"'{match[1]}' is not {kind.get(match[2], match[2].lower())}"
    return text
