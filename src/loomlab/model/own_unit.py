"""From what a network says to numbers in the unit of its labels, and the network that says these.

A head is trained on numbers of mean 0 and deviation 1, whatever the unit of the labels; the
config of its model keeps `label_mean` and `label_deviation`.

Shapes: B batch, C numbers of a text.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

REGRESSION = "regression"  # a `problem_type` of Transformers


def label_unit(config: Any) -> tuple[list[float], list[float]] | None:
    """Mean and deviation (C,) of the numbers a model learned; None for one of names."""
    mean, deviation = (getattr(config, f"label_{name}", None) for name in ("mean", "deviation"))
    return None if mean is None or deviation is None else (mean, deviation)


def in_own_unit(said_BC: Tensor, config: Any) -> Tensor:
    """Numbers in the unit of the labels, float32, from those of a head; names stay as they are."""
    unit = label_unit(config)
    if unit is None:
        return said_BC
    mean_C, deviation_C = (torch.tensor(part, device=said_BC.device) for part in unit)
    return said_BC.float() * deviation_C + mean_C


def standardized(numbers_BC: Tensor, config: Any) -> Tensor:
    """The inverse of `in_own_unit`, of any precision; the numbers themselves without a unit."""
    unit = label_unit(config)
    if unit is None:
        return numbers_BC
    mean_C, deviation_C = (numbers_BC.new_tensor(part) for part in unit)
    return (numbers_BC - mean_C) / deviation_C


@torch.no_grad()
def fold_unit(layer: nn.Module, config: Any) -> None:
    """Change the weight and bias of a linear head so that it says numbers in the own unit."""
    unit = label_unit(config)
    if unit is None:
        return
    mean_C, deviation_C = (torch.tensor(part, dtype=torch.float64) for part in unit)
    weight = layer.get_parameter("weight")
    weight.mul_(deviation_C[:, None].to(weight))
    if (bias := getattr(layer, "bias", None)) is not None:
        bias.copy_(bias.double().cpu() * deviation_C + mean_C)


@torch.no_grad()
def unfold_unit(weight: Tensor, bias: Tensor | None, config: Any) -> None:
    """The inverse of `fold_unit`, in place."""
    mean_C, deviation_C = (torch.tensor(p, dtype=torch.float64) for p in label_unit(config) or ())
    weight.div_(deviation_C[:, None].to(weight))
    if bias is not None:
        bias.copy_((bias.double().cpu() - mean_C) / deviation_C)
