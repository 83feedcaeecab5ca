"""Layers that can be made narrower together: one reads what the others write, unit by unit.

A unit is a channel of a feed-forward block, or a head of an attention; where heads share keys and
values, all that share them. Shapes: O outputs, F inputs of the reader, U units, K units kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from loomlab.errors import InputError
from loomlab.model.block import SelfAttention
from loomlab.model.reshaped import replace

# The layer that reads, and those beside it that write: ours, Llama's, BERT's.
FEED_FORWARD = {
    "mlp.out": ("mlp.up",),
    "mlp.down_proj": ("mlp.gate_proj", "mlp.up_proj"),
    "output.dense": ("intermediate.dense",),
}
ATTENTION = {
    "attention.out": ("attention.qkv",),
    "self_attn.o_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.output.dense": (
        "attention.self.query", "attention.self.key", "attention.self.value",
    ),
}  # fmt: skip
HEAD_WIDTHS = ("head_width", "head_dim", "attention_head_size")


@dataclass(frozen=True)
class Narrowable:
    """A reader and its writers by name, and how many units there are between them."""

    reader: str
    writers: tuple[str, ...]
    units: int
    heads: bool = False

    @property
    def owner(self) -> str:
        """The module that has the writers."""
        return self.writers[0].rpartition(".")[0]


def channels_of(reader: str, layers: Mapping[str, nn.Linear]) -> Narrowable | None:
    """The channels a layer reads; None if it is no such layer."""
    writers = _writers(reader, layers, FEED_FORWARD)
    return Narrowable(reader, writers, layers[reader].in_features) if writers else None


def heads_of(
    model: nn.Module, reader: str, layers: Mapping[str, nn.Linear], option: str
) -> Narrowable | None:
    """The heads a layer reads; None if it is no such layer.

    Raises:
        InputError: the attention has weights of its heads elsewhere, too.
    """
    writers = _writers(reader, layers, ATTENTION)
    if not writers:
        return None
    owner = model.get_submodule(writers[0].rpartition(".")[0])
    width = next((int(getattr(owner, n)) for n in HEAD_WIDTHS if hasattr(owner, n)), 0)
    inputs = layers[reader].in_features
    _require_plain(owner, writers, layers, inputs, width, option)
    rows = min(layers[w].out_features // _times(layers[w], inputs) for w in writers)
    return Narrowable(reader, writers, rows // width, heads=True)


def _require_plain(
    owner: nn.Module, writers: tuple[str, ...], layers: Mapping[str, nn.Linear], inputs: int,
    width: int, option: str,
) -> None:  # fmt: skip
    known = {id(p) for name in writers for p in layers[name].parameters()}
    readers = [m for m in owner.children() if isinstance(m, nn.Linear) and m.in_features == inputs]
    known |= {id(p) for layer in readers for p in layer.parameters()}
    others = [n for n, p in owner.named_parameters() if id(p) not in known and p.numel() != width]
    first = layers[writers[0]].out_features
    odd = len(writers) > 1 and first != inputs
    if others or odd or not width:
        culprit = others[0] if others else "a gate beside the queries" if odd else "no head width"
        raise InputError(
            f"compression.{option}.heads: {type(owner).__name__} has {culprit}, which is of all "
            f"heads and cannot be made narrower; set compression.{option}.heads=0"
        )


def scores(weight_OF: Tensor, gram: Tensor, units: int) -> Tensor:
    """How much each unit adds to the outputs (U): the sum of their squares, it alone given.

    Of a channel that is the square of Wanda's score over a column: its weights' norm x its own.
    """
    size, every = weight_OF.shape[1] // units, torch.arange(units)
    columns_UOS = weight_OF.double().view(-1, units, size).transpose(0, 1)
    own_USS = gram.double().view(units, size, units, size)[every, :, every]
    return ((columns_UOS @ own_USS) * columns_UOS).sum((1, 2))


def of_units(kept_K: Tensor, size: int) -> Tensor:
    """Where the columns or rows of units are, each unit having `size` of them in a row."""
    return (kept_K[:, None] * size + torch.arange(size)).flatten()


def solved(weight_OF: Tensor, gram: Tensor, kept: Tensor, damping: float) -> Tensor:
    """The weight that gives, from the inputs kept, most nearly the same outputs."""
    level = gram.diagonal().mean().double() or 1.0  # nothing came in: the weights stay
    gram = gram.double() + torch.eye(len(gram)) * damping * level
    right = weight_OF.double() @ gram[:, kept]
    made = torch.linalg.solve(gram[kept][:, kept], right, left=False)
    return made.to(weight_OF.dtype)


def narrow(
    model: nn.Module, at: Narrowable, layers: Mapping[str, nn.Linear], gram: Tensor,
    kept_K: Tensor, damping: float,
) -> None:  # fmt: skip
    """Keep some units of a reader, which makes up for the others, and of its writers."""
    reader = layers[at.reader]
    columns = of_units(kept_K, reader.in_features // at.units)
    _put(model, at.reader, solved(reader.weight, gram, columns, damping), reader.bias)
    for name in at.writers:
        _keep_rows(model, name, layers[name], reader.in_features, at.units, kept_K)
    owner = model.get_submodule(at.owner)
    if isinstance(owner, SelfAttention):
        owner.heads = len(kept_K)
        replace(model, at.owner, owner, {"kind": "heads", "heads": len(kept_K)})


def _writers(
    reader: str, layers: Mapping[str, nn.Linear], known: dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    for end, others in known.items():
        if f".{reader}".endswith(f".{end}"):
            block = reader[: len(reader) - len(end)]
            return tuple(block + other for other in others if block + other in layers)
    return ()


def _times(writer: nn.Linear, inputs: int) -> int:
    """How often a writer writes each unit: queries, keys and values; or a value and its gate."""
    return max(1, writer.out_features // inputs)


def _keep_rows(
    model: nn.Module, name: str, layer: nn.Linear, inputs: int, units: int, kept_K: Tensor
) -> None:
    times = _times(layer, inputs)
    each = layer.out_features // times
    once = of_units(kept_K, each // units)
    rows = torch.cat([once + i * each for i in range(times)])
    bias = None if layer.bias is None else nn.Parameter(layer.bias[rows].clone())
    _put(model, name, layer.weight[rows].clone(), bias)


def _put(model: nn.Module, name: str, weight: Tensor, bias: nn.Parameter | None) -> None:
    outputs, inputs = weight.shape
    made = nn.Linear(inputs, outputs, bias=bias is not None)
    made.weight, made.bias = nn.Parameter(weight.contiguous()), bias  # type: ignore[assignment]
    record: dict[str, Any] = {
        "kind": "linear", "inputs": inputs, "outputs": outputs, "bias": bias is not None
    }  # fmt: skip
    replace(model, name, made, record)
