"""The state of an optimizer of which each stage of a pipeline holds a part, as that of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist


class StagedOptimizer:
    """An optimizer made for a whole model, left with the parameters of one stage.

    What it saves and loads has the numbers of the whole model's parameters.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, names: dict[int, str], own: Iterable[int]
    ) -> None:
        """`names` of all parameters by identity; `own` are the identities of those to keep."""
        self.optimizer, self.names, mine = optimizer, names, set(own)
        groups = [[names[id(p)] for p in group["params"]] for group in optimizer.param_groups]
        self.numbers: dict[str, int] = {}
        for name in (name for group in groups for name in group):
            self.numbers[name] = len(self.numbers)
        self.groups = [[self.numbers[name] for name in group] for group in groups]
        for group in optimizer.param_groups:
            group["params"][:] = [p for p in group["params"] if id(p) in mine]

    def own(self) -> list[str]:
        """Names of this stage's parameters, in the order the optimizer counts them."""
        return [self.names[id(p)] for g in self.optimizer.param_groups for p in g["params"]]

    def by_name(self) -> dict[str, Any]:
        """The state of this stage's parameters, by name."""
        names, state = self.own(), self.optimizer.state_dict()["state"]
        return {names[number]: values for number, values in state.items()}

    def as_whole(self, named: dict[str, Any]) -> dict[str, Any]:
        """The state of an optimizer of the whole model, from states by name."""
        state = self.optimizer.state_dict()
        numbered = {self.numbers[name]: values for name, values in named.items()}
        groups = [
            {**group, "params": numbers}
            for group, numbers in zip(state["param_groups"], self.groups, strict=True)
        ]
        return {**state, "state": dict(sorted(numbered.items())), "param_groups": groups}

    def load(self, saved: dict[str, Any]) -> None:
        """Take up this stage's part of the state of a whole model's optimizer."""
        numbers = [n for group in saved["param_groups"] for n in group["params"]]
        place = dict(zip(self.numbers, numbers, strict=True))
        named = {name: saved["state"].get(place[name]) for name in self.own()}
        found = {number: v for number, v in enumerate(named.values()) if v is not None}
        now = self.optimizer.state_dict()["param_groups"]
        groups = [
            {**before, "params": group["params"]}
            for before, group in zip(saved["param_groups"], now, strict=True)
        ]
        self.optimizer.load_state_dict({**saved, "state": found, "param_groups": groups})


def within(group: Any, state: dict[str, Any]) -> dict[str, Any]:
    """The states of a group of processes in one, on its first process; its own on the others."""
    found: list[Any] | None = None
    if dist.get_rank(group) == 0:
        found = [None] * dist.get_world_size(group)
    dist.gather_object(state, found, dst=dist.get_global_rank(group, 0), group=group)
    return state if found is None else {k: v for part in found for k, v in part.items()}


def on_first() -> bool:
    """Whether this is the first process of the run."""
    return dist.get_rank() == 0
