"""Linear layers of which every process holds a part, and their parameters cut up and put together.

Shoeybi et al. 2019, "Megatron-LM", arXiv 1909.08053, section 3: a layer cut by its outputs is
followed by one cut by its inputs, and the two cost one all-reduce in each direction.
"""

# Shapes: I inputs, O outputs of a whole layer; i, o those of this process.

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from loomlab.measure.whole import local


@dataclass(frozen=True)
class Cut:
    """How a parameter is cut: along a dimension, each of its `pieces` equal parts by itself.

    Queries, keys and values lie in one matrix one after another: three pieces, so that each
    process gets the rows of its heads from all three. `group` are the processes that hold the
    parts; None for all there are. `length` is that of the whole where it may not divide evenly.
    """

    dim: int
    pieces: int = 1
    group: Any = field(default=None, compare=False, repr=False)
    length: int | None = None

    def part(self, whole: Tensor, rank: int, size: int) -> Tensor:
        """What the process of that rank holds."""
        pieces = whole.chunk(self.pieces, self.dim)
        return torch.cat([p.tensor_split(size, self.dim)[rank] for p in pieces], self.dim)

    def joined(self, parts: list[Tensor]) -> Tensor:
        """The whole of what all processes hold."""
        pieces = zip(*(part.chunk(self.pieces, self.dim) for part in parts), strict=True)
        return torch.cat([torch.cat(piece, self.dim) for piece in pieces], self.dim)

    def here(self, whole: Tensor) -> Tensor:
        """What this process holds of a whole tensor."""
        rank, size = dist.get_rank(self.group), dist.get_world_size(self.group)
        return self.part(whole, rank, size).contiguous()

    def first(self, whole: Tensor) -> int:
        """Where the part of this process begins, of a tensor in one piece."""
        rank, size = dist.get_rank(self.group), dist.get_world_size(self.group)
        return sum(p.shape[self.dim] for p in whole.tensor_split(size, self.dim)[:rank])

    def whole(self, part: Tensor) -> Tensor:
        """The whole tensor; all processes of the group must ask for it."""
        size = dist.get_world_size(self.group)
        lengths = [part.shape[self.dim]] * size
        if self.length is not None:
            lengths = [len(p) for p in torch.empty(self.length).tensor_split(size)]
        shape = [max(lengths) if d == self.dim else n for d, n in enumerate(part.shape)]
        room = part.new_zeros(shape)  # all send alike
        room.narrow(self.dim, 0, part.shape[self.dim]).copy_(part.detach())
        parts = [torch.empty_like(room) for _ in range(size)]
        dist.all_gather(parts, room, group=self.group)
        return self.joined([p.narrow(self.dim, 0, n) for p, n in zip(parts, lengths, strict=True)])


def cut_of(parameter: Tensor) -> Cut | None:
    """How a parameter is cut; None if it is whole."""
    return getattr(parameter, "cut", None)


def cut_parameter(parameter: Tensor, cut: Cut) -> nn.Parameter:
    """This process's part of a parameter."""
    made = nn.Parameter(cut.here(parameter.detach()), requires_grad=parameter.requires_grad)
    made.cut = cut  # type: ignore[attr-defined]
    return made


class _Copied(torch.autograd.Function):
    """The same input for all processes, whose gradients are parts of one sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        return summed(outer[0], ctx.group), None


class _Summed(torch.autograd.Function):
    """The sum of what all processes have, of which each is given the whole gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        return summed(x, group)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        return outer[0], None


def sum_of_parts(x: Tensor, group: Any = None) -> Tensor:
    """The sum of what the processes of a group have; each part gets the gradient of the sum."""
    total: Tensor = _Summed.apply(x, group)
    return total


def summed(x: Tensor, group: Any = None) -> Tensor:
    """The sum over the processes of a group, computed in 32-bit floats."""
    total = x.float().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total, group=group)
    return total.to(x.dtype)


class ByOutputs(nn.Module):
    """A linear layer cut by its outputs: (..., I) of all -> (..., o) of each process."""

    def __init__(self, linear: nn.Linear, pieces: int = 1, group: Any = None) -> None:
        super().__init__()
        length = linear.out_features if pieces == 1 else None
        self.group, self.cut = group, Cut(0, pieces, group, length)
        self.weight = cut_parameter(linear.weight, self.cut)
        self.bias = None if linear.bias is None else cut_parameter(linear.bias, self.cut)

    def mark(self) -> None:
        """Say again of the parameters how they are cut: they may have been replaced."""
        for parameter in self.parameters():
            parameter.cut = self.cut  # type: ignore[attr-defined]

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of this process."""
        return F.linear(_Copied.apply(x, self.group), self.weight, self.bias)


class ByInputs(nn.Module):
    """A linear layer cut by its inputs: (..., i) of each process -> (..., O), the same for all."""

    def __init__(self, linear: nn.Linear, group: Any = None) -> None:
        super().__init__()
        self.group, self.cut = group, Cut(1, group=group)
        self.weight = cut_parameter(linear.weight, self.cut)
        self.bias = linear.bias

    def mark(self) -> None:
        """Say again of the weight how it is cut: it may have been replaced."""
        self.weight.cut = self.cut  # type: ignore[attr-defined]

    def forward(self, x: Tensor) -> Tensor:
        """The sum of what all processes contribute, plus the bias once."""
        total: Tensor = _Summed.apply(F.linear(x, self.weight), self.group)
        return total if self.bias is None else total + self.bias.to(total.dtype)


def by_outputs(layer: Any, pieces: int = 1, group: Any = None) -> nn.Module:
    """Cut a linear layer by its outputs, and the second matrix of adapters beside it."""
    if not hasattr(layer, "base_layer"):
        return ByOutputs(layer, pieces, group)
    layer.base_layer = ByOutputs(layer.base_layer, pieces, group)
    for name, up in layer.lora_B.items():
        layer.lora_B[name] = ByOutputs(up, pieces, group)
    made: nn.Module = layer
    return made


def by_inputs(layer: Any, group: Any = None) -> nn.Module:
    """Cut a linear layer by its inputs, and the first matrix of adapters beside it."""
    if not hasattr(layer, "base_layer"):
        return ByInputs(layer, group)
    layer.base_layer = ByInputs(layer.base_layer, group)
    for name, down in layer.lora_A.items():
        layer.lora_A[name] = ByInputs(down, group)
    made: nn.Module = layer
    return made


def clip_by_norm(
    parameters: Iterable[nn.Parameter], most: float, group: Any = None, copies: Any = None
) -> None:
    """Scale all gradients so that their norm, over the parts of all processes, is at most `most`.

    What is whole is the same in all processes of `group` and counts once. `copies` are the
    processes over which everything is cut up once more, if it is.
    """
    trained = [p for p in parameters if p.grad is not None]
    squares = torch.zeros(2, device=trained[0].device if trained else None)
    for parameter in trained:
        squares[int(cut_of(parameter) is None)] += local(parameter.grad).float().norm() ** 2  # type: ignore
    if copies is not None:
        dist.all_reduce(squares, group=copies)
    of_parts = squares[:1].clone()
    dist.all_reduce(of_parts, group=group)
    norm = (of_parts[0] + squares[1]).sqrt()
    scale = float((most / (norm + 1e-6)).clamp(max=1.0))
    for parameter in trained:
        parameter.grad.mul_(scale)  # type: ignore[union-attr]
