"""What the user's own config groups build, and who gets it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytorch_lightning as pl


class OwnGroups:
    """One component per group of the user's own, made once for a run, by the group's name."""

    def __init__(self, built: Mapping[str, Any]) -> None:
        self.built = built

    def give(self, option: partial[Any]) -> partial[Any]:
        """The constructor of an option with those that it names as keyword-only parameters."""
        if not self.built:
            return option
        named = inspect.signature(option.func).parameters
        taken = {
            name: component
            for name, component in self.built.items()
            if name in named and named[name].kind is inspect.Parameter.KEYWORD_ONLY
        }
        return partial(option, **taken)

    def callbacks(self) -> list[pl.Callback]:
        """Those that the trainer calls."""
        return [c for c in self.built.values() if isinstance(c, pl.Callback)]
