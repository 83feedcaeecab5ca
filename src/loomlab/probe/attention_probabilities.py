"""Attention probabilities of a model on a text, however its attention is computed.

Shapes: B batch, T queries, S keys (the same tokens), H heads, K head width.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from loomlab.attention.base import Attention
from loomlab.measure.modes import uncached


@torch.no_grad()
def attention_probabilities(model: nn.Module, ids_BT: Tensor) -> list[Tensor]:
    """The probabilities (B, H, T, S) of every layer; an empty list where a model has none.

    Models of this package compute attention by kernels that keep no probabilities: queries and
    keys, as rotated by position, and the layout are caught on their way into the attention, and
    softmax(q k^T / sqrt(K) + mask and bias) is computed from them. Models of Transformers are run
    once with their eager attention, which returns its probabilities, and set back.
    """
    if any(isinstance(module, Attention) for module in model.modules()):
        return _caught(model, ids_BT)
    return _eager(model, ids_BT)


def _caught(model: nn.Module, ids_BT: Tensor) -> list[Tensor]:
    found: list[Tensor] = []

    def catch(attention: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(attention, Attention)
        q_BHTK, k_BHSK, _, layout = inputs
        scores_BHTS = q_BHTK.float() @ k_BHSK.float().mT / math.sqrt(q_BHTK.shape[-1])
        mask = attention.dense_mask(layout, scores_BHTS.dtype)
        found.append((scores_BHTS + mask).softmax(-1))

    hooks = [
        module.register_forward_pre_hook(catch)
        for module in model.modules()
        if isinstance(module, Attention)
    ]
    try:
        with uncached(model):
            model(input_ids=ids_BT)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _eager(model: Any, ids_BT: Tensor) -> list[Tensor]:
    config = getattr(model, "config", None)
    if config is None or not hasattr(model, "set_attn_implementation"):
        return []
    before = config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        with uncached(model):
            output = model(input_ids=ids_BT, output_attentions=True)
    finally:
        model.set_attn_implementation(before)
    maps = getattr(output, "attentions", None) or ()
    return [m.float() for m in maps if m is not None]
