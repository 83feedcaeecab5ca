"""Components that a saved model names: built only from allowed code."""

from collections.abc import Mapping
from typing import Any, TypeVar

from loomlab.allow import resolve
from loomlab.errors import InputError

Component = TypeVar("Component")


def build_component(spec: Mapping[str, Any], base: type[Component], **runtime: Any) -> Component:
    """Build the component that `spec` names: `{"_target_": "package.module.Class", **settings}`.

    `base` is the class it must derive from and `runtime` the values known only at run time.
    A saved model carries such specs, so the target must be allowed (see `loomlab.allow`):
    loading a file from elsewhere cannot run code that the user did not choose.

    Raises:
        InputError: the target is missing, not allowed, not there, not a `base`, or does not take
            the settings given.
    """
    settings = {key: value for key, value in spec.items() if key != "_target_"}
    target = spec.get("_target_")
    cls = resolve(target, f"_target_ of {base.__name__.lower()}")
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise InputError(f"_target_: {target} is not a kind of {base.__module__}.{base.__name__}.")
    try:
        return cls(**settings, **runtime)
    except TypeError as error:
        raise InputError(f"{target} does not take these settings: {error}.") from error
