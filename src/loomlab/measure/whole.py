"""Tensors of which every process holds a part.

Weights are cut up in two ways: into DTensors, one part per copy of the model (FSDP2), and into
plain tensors that carry a record `cut` of how (tensor parallelism). A weight may be both.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor: all of it, unless the tensor is cut up."""
    part: Tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return part


def whole(tensor: Tensor, weight: Tensor | None = None) -> Tensor:
    """All of a tensor that is cut up like `weight` (by default itself).

    If it is cut up, all processes must ask for it.
    """
    full: Tensor = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    cut: Any = getattr(tensor if weight is None else weight, "cut", None)
    return full if cut is None else cut.whole(full)


def part(full: Tensor, weight: Tensor) -> Tensor:
    """What this process would hold of a whole tensor if it were cut up like `weight`."""
    cut: Any = getattr(weight, "cut", None)
    if cut is not None:
        full = cut.here(full)
    if not isinstance(weight, DTensor):
        return full.to(weight.device)
    shared = distribute_tensor(full, weight.device_mesh, weight.placements, src_data_rank=None)
    return local(shared)


def put_together(held: Tensor, weight: Tensor) -> Tensor:
    """All of a tensor of which this process holds `part(full, weight)`; all must ask for it."""
    if isinstance(weight, DTensor):
        held = DTensor.from_local(
            held, weight.device_mesh, weight.placements,
            shape=weight.shape, stride=weight.stride(),
        )  # fmt: skip
    return whole(held, weight)
