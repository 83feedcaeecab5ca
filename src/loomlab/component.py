"""Components named by a config: where their modules are found, and which may be built."""

import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from loomlab.errors import InputError

Component = TypeVar("Component")


def build_component(spec: Mapping[str, Any], base: type[Component], **runtime: Any) -> Component:
    """Build the component that `spec` names: `{"_target_": "package.module.Class", **settings}`.

    `base` is the class it must derive from and `runtime` the values known only at run time.
    A saved model carries such specs, so a target is imported only from loomlab itself or from a
    package listed in the environment variable LOOM_ALLOW (comma-separated prefixes): loading
    a file from elsewhere cannot run code that the user did not choose.

    Raises:
        InputError: the target is missing, not allowed, not there, not a `base`, or does not take
            the settings given.
    """
    settings = {key: value for key, value in spec.items() if key != "_target_"}
    target = spec.get("_target_")
    if not isinstance(target, str) or "." not in target:
        raise InputError(
            f"_target_ of {base.__name__.lower()} is {target!r}: "
            'write the full name of a class, such as "package.module.Class".'
        )
    cls = _import_class(target)
    if not issubclass(cls, base):
        raise InputError(f"_target_: {target} is not a kind of {base.__module__}.{base.__name__}.")
    try:
        return cls(**settings, **runtime)
    except TypeError as error:
        raise InputError(f"{target} does not take these settings: {error}.") from error


def _import_class(target: str) -> type:
    """The class `target` names, after the check that its package is allowed."""
    if not _allowed(target):
        raise InputError(
            f"_target_: {target} is outside loomlab; to allow code of that package to run, "
            f"set LOOM_ALLOW={target.split('.')[0]}."
        )
    module_name, _, class_name = target.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module_name), class_name, None)
    except ImportError as error:
        raise InputError(f"_target_: {target} cannot be imported: {error}.") from error
    if not isinstance(cls, type):
        raise InputError(f"_target_: module {module_name} has no class {class_name}.")
    return cls


def _allowed(target: str) -> bool:
    """Whether `target` is in loomlab or under a prefix of LOOM_ALLOW (whole names only)."""
    prefixes = [part.strip() for part in os.environ.get("LOOM_ALLOW", "").split(",")]
    return any(target.startswith(f"{prefix}.") for prefix in ["loomlab", *prefixes] if prefix)


def make_importable(conf_dirs: Iterable[Path]) -> None:
    """Put the folders that hold the user's conf folders on Python's path."""
    for folder in conf_dirs:
        if str(folder.parent) not in sys.path:
            sys.path.append(str(folder.parent))
