"""Any optimizer of the package pytorch-optimizer, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer import library
from loomlab.optimizer.averaging import remember, restore
from loomlab.optimizer.groups import decay_groups


class NamedOptimizer(torch.optim.Optimizer):
    """One of 103 optimizers of pytorch-optimizer (extra: optimizers), by its name.

    Those that cannot run here (closures, second derivatives, groups of their own form) are
    refused with the reason. The groups and the state are those of the optimizer inside. Norms,
    biases and embeddings do not decay (`decay_groups`).

    Raises:
        InputError: the package is not installed, or the name or a setting is wrong.
    """

    tensor_parallel = False
    cut_up = False  # of weights that are cut up over processes

    problem_check = "loomlab.optimizer.library.problems"

    def __init__(
        self,
        name: str = "soap",
        lr: Annotated[float, "(0, inf)"] | None = None,
        weight_decay: Annotated[float, "[0, inf)"] = 0.0,
        settings: dict[str, Any] = {},  # noqa: B006 - read as a literal, never changed
        *,
        model: nn.Module,
    ) -> None:
        """`lr` of None is the library's own default.

        `settings` are those of the optimizer itself: `++optimizer.settings={max_grad_norm:1}`.
        """
        told = {"name": name, "lr": lr, "weight_decay": weight_decay, "settings": settings}
        wrong = library.problems(told)
        if wrong:
            raise InputError(f"optimizer.{wrong[0]}")
        self.inner: torch.optim.Optimizer = library.create(decay_groups(model, weight_decay), told)
        super().__init__(self.inner.param_groups, {})
        if callable(getattr(self.inner, "eval", None)):  # it averages
            # an objective looks for these
            self.train, self.eval = self._to_training, self._to_average
            self.inner.train()  # it may be stepped at once
        self._share()

    def _share(self) -> None:
        self.param_groups = self.inner.param_groups
        self.state = self.inner.state

    def _to_training(self) -> None:
        self.inner.train()  # type: ignore[attr-defined]
        restore(self.inner)

    def _to_average(self) -> None:
        if self.state:  # before the first step there is no average
            remember(self.inner)
            self.inner.eval()  # type: ignore[attr-defined]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of the optimizer inside; a closure is evaluated once, before it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.inner.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The state, as the optimizer inside gives it."""
        return self.inner.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where the state was taken."""
        self.inner.load_state_dict(state_dict)
        self._share()
