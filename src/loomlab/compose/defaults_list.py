"""Hydra's list of defaults without the work that Hydra does for lists of another kind.

For every file that it visits, Hydra turns all choices made so far into a config of their own, to
resolve entries such as `optimizer: ${model}`. Hardly any list has one, and with the fifty files of
an experiment this was a quarter of what composing costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra._internal import defaults_list as hydra_defaults
from hydra.core.default_element import InputDefault
from omegaconf import DictConfig

_choices_as_config = hydra_defaults._create_interpolation_map
_NOT_ASKED_FOR = DictConfig({})


def _choices_if_asked_for(
    overrides: hydra_defaults.Overrides, defaults_list: list[InputDefault], self_added: bool
) -> DictConfig:
    if any(entry.is_interpolation() for entry in defaults_list):
        return _choices_as_config(overrides, defaults_list, self_added)
    return _NOT_ASKED_FOR


@contextmanager
def quick_defaults() -> Iterator[None]:
    """While it lasts, choices become a config only for lists that refer to them."""
    hydra_defaults._create_interpolation_map = _choices_if_asked_for
    try:
        yield
    finally:
        hydra_defaults._create_interpolation_map = _choices_as_config
