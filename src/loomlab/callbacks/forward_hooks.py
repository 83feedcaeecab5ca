"""Forward hooks that are put in place for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


class ForwardHooks:
    """Hooks on several modules, all there or none; true while they are there.

    A compiled model does not call hooks, so that meanwhile it is run as it is written.
    """

    def __init__(self) -> None:
        self._handles: list[Any] = []
        self._eager = contextlib.ExitStack()

    def __bool__(self) -> bool:
        return bool(self._handles)

    def attach(
        self,
        modules: Iterable[tuple[str, nn.Module]],
        listener: Callable[[str], Callable[..., Any]],
        with_kwargs: bool = False,
    ) -> None:
        """Let `listener(name)` hear of every call of each module."""
        self._eager.enter_context(torch.compiler.set_stance("force_eager"))
        for name, module in modules:
            handle = module.register_forward_hook(listener(name), with_kwargs=with_kwargs)
            self._handles.append(handle)

    def remove(self) -> None:
        """Take all hooks away; nothing happens where there is none."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._eager.close()
