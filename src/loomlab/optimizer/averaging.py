"""Optimizers with two modes: a look at the averaged weights must not move those in training.

Going to the average and back by arithmetic rounds; a copy brings back every bit, so that neither
validations nor checkpoints change a run. The copy is in the state while the average is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

RAW = "raw"


@torch.no_grad()
def remember(optimizer: torch.optim.Optimizer) -> None:
    """Keep the weights as they are in training, before the optimizer puts the average there."""
    for weight, state in _stepped(optimizer):
        if RAW not in state:
            state[RAW] = weight.detach().clone()


@torch.no_grad()
def restore(optimizer: torch.optim.Optimizer) -> None:
    """Put the weights back as they were, after the optimizer has left the average."""
    for weight, state in _stepped(optimizer):
        if RAW in state:
            weight.copy_(state.pop(RAW))


def _stepped(optimizer: torch.optim.Optimizer) -> Iterator[tuple[torch.Tensor, dict[str, Any]]]:
    """Weights the optimizer has a state for; a weight without one has no average yet."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if optimizer.state.get(weight):
                yield weight, optimizer.state[weight]
