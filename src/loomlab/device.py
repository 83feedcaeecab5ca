"""Where computation happens: what training, evaluation and generation all ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def device() -> torch.device:
    """The device of this process: the current GPU where there is one, else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def accelerator() -> str:
    """The same for Lightning, which then says which GPU is whose."""
    return "cpu" if device().type == "cpu" else "gpu"


@contextmanager
def placed(module: nn.Module) -> Iterator[torch.device]:
    """A module on the device of this process, and afterwards back where it was.

    What has no weights to move, or says that it is `bound` to where it is, stays there.
    """
    home = next((p.device for p in module.parameters()), torch.device("cpu"))
    bound = any(getattr(inner, "bound", False) for inner in module.modules())
    place = home if bound or not any(True for _ in module.parameters()) else device()
    module.to(place)
    try:
        yield place
    finally:
        module.to(home)


def on(place: torch.device, batch: Any) -> Any:
    """A batch of tensors by name, on a device."""
    return {name: value.to(place) for name, value in batch.items()}


def autocast(place: torch.device, bf16: bool) -> torch.autocast:
    """Matrix products in bfloat16 on a device, or as they are."""
    return torch.autocast(place.type, torch.bfloat16, enabled=bf16)


def wait_for(place: torch.device) -> None:
    """Wait until a device has done what it was given; a processor has."""
    if place.type == "cuda":
        torch.cuda.synchronize(place)
