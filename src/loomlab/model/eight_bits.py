"""What goes into a layer as 8-bit integers: each token with a scale of its own, found as it comes.

Shapes: I inputs, O outputs; before these, as many axes as there are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST = 127


def token_scales(x: Tensor) -> Tensor:
    """What the integer 1 stands for in each token: its largest value is the integer 127."""
    return x.detach().float().abs().amax(-1, keepdim=True).clamp(min=1e-5) / LARGEST


def straight_through(values: Tensor, whole: Tensor) -> Tensor:
    """`whole`, to the bit where it holds integers, with the gradient of `values`."""
    return values + (whole - values).detach()


def linear(x: Tensor, codes_OI: Tensor, scales: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer of integers and scales, (O, 1) or (1, 1), on `x` rounded to integers.

    Where no gradient is asked for and nothing is exported, integers are multiplied as such and
    added up in int32. Else floats hold them, which gives the same numbers while no sum can reach
    2^24; so what was trained rounds as what is saved.
    """
    tokens = token_scales(x)
    values = x.float() / tokens
    if codes_OI.dtype == torch.int8 and _multiplies_integers():
        whole = values.round().to(torch.int8).flatten(0, -2)
        sums = torch._int_mm(whole, codes_OI.t()).view(*x.shape[:-1], len(codes_OI))
    else:
        whole = straight_through(values, values.detach().round())
        sums = F.linear(whole, codes_OI.to(whole.dtype))
    made = (sums.float() * tokens * scales.float().view(1, -1)).to(x.dtype)
    return made if bias is None else made + bias.to(made.dtype)


def _multiplies_integers() -> bool:
    exported = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return not (torch.is_grad_enabled() or exported)
