"""Keep less for the backward pass: what is cheap to compute is computed again instead of kept.

A matrix product keeps its input until the backward pass. Where that input is a norm or an
activation of something that is kept anyway, keeping it doubles the memory for next to no time:
the two largest of a Transformer block are such inputs (Korthikanti et al. 2022, arXiv 2205.05198,
section 5, recompute the attention for the same reason).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor


@contextlib.contextmanager
def rebuilt(y: Tensor, function: Callable[[Tensor], Tensor], x: Tensor) -> Iterator[None]:
    """Within: layers that keep y = function(x) for their backward pass keep x instead.

    `function` must be cheap and give the same values again. Whatever uses y may be used: a
    Linear with adapters or masks as well. Values and gradients stay as they are.
    """
    if torch.compiler.is_compiling() or not torch.is_grad_enabled() or _within_others():
        yield
        return
    # Only what tells y apart: a reference to it in `pack` would keep it alive after all.
    where, count, dtype = y.data_ptr(), y.numel(), y.dtype

    def pack(kept: Tensor) -> Tensor | torch.Size:
        same = kept.data_ptr() == where and kept.numel() == count and kept.dtype == dtype
        return kept.shape if same and kept.is_contiguous() else kept

    def unpack(packed: Tensor | torch.Size) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        with torch.no_grad():
            return function(x).view(packed)

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield


def _within_others() -> bool:
    """Whether somebody else sees to what is kept: blocks that are computed again as a whole.

    Hooks of ours inside of theirs would take their place, and keep all the rest; inside of our
    own they are for another tensor.
    """
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(True)
    return hooks is not None and getattr(hooks[0], "__module__", "") != __name__
