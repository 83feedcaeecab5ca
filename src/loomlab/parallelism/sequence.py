"""Between the layers that are shared out, each process keeps the hidden states of some tokens.

Korthikanti et al. 2022, arXiv 2205.05198, section 4.2.2: norms, dropout and residual sums act on
each token alone, so they need not be computed, nor kept for the backward pass, by all processes.
An all-reduce becomes a reduce-scatter before them and an all-gather behind: as many bytes.
"""

# Shapes: B rows, T tokens, t those of this process, D width.

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from loomlab.model.block import MLP, Block, SelfAttention
from loomlab.parallelism.split import ByInputs, ByOutputs


def _all_tokens(x_BtD: Tensor) -> Tensor:
    parts = [torch.empty_like(x_BtD.contiguous()) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x_BtD.contiguous())
    return torch.cat(parts, 1)


def _own_tokens(x_BTD: Tensor) -> Tensor:
    return x_BTD.chunk(dist.get_world_size(), 1)[dist.get_rank()].contiguous()


def _own_tokens_of_sum(x_BTD: Tensor) -> Tensor:
    """This process's tokens of the sum over all processes, in 32-bit floats."""
    parts = [part.contiguous() for part in x_BTD.float().chunk(dist.get_world_size(), 1)]
    total = torch.empty_like(parts[0])
    dist.reduce_scatter(total, parts)
    return total.to(x_BTD.dtype)


class _Split(torch.autograd.Function):
    """(B, T, D) that all have -> (B, t, D)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _own_tokens(x)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:
        return _all_tokens(outer[0])


class _Joined(torch.autograd.Function):
    """(B, t, D) -> (B, T, D), whose gradient is the same in all processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _all_tokens(x)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:
        return _own_tokens(outer[0])


class _Gathered(torch.autograd.Function):
    """(B, t, D) -> (B, T, D), of whose gradient each process has a part of the sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _all_tokens(x)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:
        return _own_tokens_of_sum(outer[0])


class _Scattered(torch.autograd.Function):
    """(B, T, D), parts of a sum -> (B, t, D) of the sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _own_tokens_of_sum(x)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:
        return _all_tokens(outer[0])


class GatheredByOutputs(ByOutputs):
    """One whose input has been gathered, which sums its gradient on the way back."""

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of this process for all tokens."""
        return F.linear(x, self.weight, self.bias)


class ScatteredByInputs(ByInputs):
    """One that gives each process the outputs for its tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, i) -> (B, t, O)."""
        total: Tensor = _Scattered.apply(F.linear(x, self.weight))
        return total if self.bias is None else total + self.bias.to(total.dtype)


class SomeDropped(nn.Dropout):
    """Dropout of the tokens of this process, drawn for all tokens as one process would."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, t, D) -> (B, t, D)."""
        if not self.training or self.p == 0:
            return input
        ones = torch.ones_like(input).repeat(1, dist.get_world_size(), 1)
        return input * _own_tokens(F.dropout(ones, self.p))


def share_tokens(model: Any) -> list[nn.Parameter]:
    """Split the hidden states of a model whose layers are shared out already.

    Gives the parameters that see the tokens of one process alone: their gradients are parts.
    """
    trunk, seen = model.base_model, []
    trunk.embedding_dropout.register_forward_hook(lambda _, __, x: _Split.apply(x))
    trunk.norm.register_forward_pre_hook(lambda _, args: (_Joined.apply(args[0]),))
    for layer in model.modules():
        if isinstance(layer, SelfAttention | MLP):
            first = layer.qkv if isinstance(layer, SelfAttention) else layer.up
            first.__class__ = GatheredByOutputs  # type: ignore[assignment]
            layer.out.__class__ = ScatteredByInputs  # type: ignore[assignment]
            layer.register_forward_pre_hook(_gather_first)
            seen += [] if layer.out.bias is None else [layer.out.bias]
        elif isinstance(layer, Block):
            layer.dropout.__class__ = SomeDropped
            seen += [*layer.attention_norm.parameters(), *layer.mlp_norm.parameters()]
    return seen


def _gather_first(layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return _Gathered.apply(args[0]), *args[1:]


class SumOfParts(pl.Callback):
    """Adds up, before each step, the gradients of which each process has its tokens' part."""

    runs_last = -2  # before all others: what they look at are gradients of all tokens

    def __init__(self) -> None:
        self.seen: list[nn.Parameter] = []

    @torch.no_grad()
    def on_before_optimizer_step(self, *_: Any) -> None:
        """All in one exchange."""
        gradients = [p.grad for p in self.seen if p.grad is not None]
        if not gradients:
            return
        flat = torch.cat([g.float().flatten() for g in gradients])
        dist.all_reduce(flat)
        for gradient, total in zip(
            gradients, flat.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(total.view_as(gradient))
