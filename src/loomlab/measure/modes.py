"""How modules run: training or evaluating, with a cache or without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def kept_modes(module: nn.Module) -> Iterator[None]:
    """The mode of a module and of each one inside it is afterwards what it was."""
    modes = [(inner, inner.training) for inner in module.modules()]
    try:
        yield
    finally:
        for inner, training in modes:
            inner.training = training


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """In evaluation mode; afterwards each module has its own mode back, however this ends."""
    with kept_modes(module):
        module.eval()
        yield


@contextmanager
def uncached(model: Any) -> Iterator[None]:
    """The model keeps no keys and values of the tokens it reads: none will follow them."""
    config: Any = getattr(model, "config", None)
    if not getattr(config, "use_cache", False):
        yield
        return
    config.use_cache = False
    try:
        yield
    finally:
        config.use_cache = True
