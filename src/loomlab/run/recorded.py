"""What a run has on record, held against the options that are there now."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from omegaconf import DictConfig

from loomlab.errors import InputError
from loomlab.run.constructor import constructor
from loomlab.run.folder import CONFIG, RunFolder


def require_known_settings(folder: RunFolder, config: DictConfig, axes: Iterable[str]) -> None:
    """Refuse a record with settings that the options of the installed loomlab do not have.

    Raises:
        InputError: naming the first of them, or an option that is not there at all.
    """
    for axis in axes:
        place = f"{folder.path / CONFIG}: {axis}"
        if not config.get(axis):
            raise InputError(f"{place} is missing: the file is damaged, or no record of a run")
        option = constructor(config[axis])
        known = accepted(option.func)
        for key in () if known is None else sorted(set(option.keywords) - known):
            raise InputError(
                f"{place}.{key}: {option.func.__name__} has no setting '{key}', so the run was "
                "written by another version of loomlab: use that one"
            )


def accepted(function: Callable[..., Any]) -> set[str] | None:
    """Names of the parameters of a function, or of a class and the bases it hands them on to.

    None where it takes any.
    """
    chain = function.__mro__ if isinstance(function, type) else (function,)
    found: set[str] = set()
    for part in chain:
        made_by = vars(part).get("__init__") if isinstance(part, type) else part
        if made_by is None or part is object:
            continue
        parameters = inspect.signature(made_by).parameters.values()
        found |= {p.name for p in parameters}
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            return found
    return None
