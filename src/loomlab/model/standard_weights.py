"""Weights of our models under the names of Transformers' classes, and back.

Shapes: H heads, G heads that have keys and values of their own, K head width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from loomlab.model.standard_names import OURS, POSITIONS, Names, Pair

PARTS = ("weight", "bias")
OLD_NAMES = (  # as files of earlier years have them
    (re.compile(r"(?<=LayerNorm\.)gamma$"), "weight"),
    (re.compile(r"(?<=LayerNorm\.)beta$"), "bias"),
    (re.compile(r"^embed_out\."), "lm_head."),
    (re.compile(r"^cls\.predictions\.bias$"), "cls.predictions.decoder.bias"),
)
NO_WEIGHTS = re.compile(  # masks and tables that their classes compute, and once saved
    r"(\battn\.(masked_)?bias|\battention\.(masked_)?bias|\bposition_ids|rotary_emb\.inv_freq)$"
)


@dataclass(frozen=True)
class Sizes:
    """What of a checkpoint's shape its names do not tell."""

    layers: int
    heads: int
    groups: int


def to_theirs(own: Mapping[str, Tensor], names: Names, sizes: Sizes, kind: str) -> dict:
    """The weights of a model of our class `kind` by their names; biases it lacks are left out."""
    found: dict[str, Tensor] = {}
    for pair in names.pairs(sizes.layers, kind):
        for part in PARTS:
            rows = own.get(f"{pair.ours}.{part}")
            if rows is not None:
                turned = pair.order.there(rows, sizes.heads).chunk(len(pair.theirs))
                found |= {
                    f"{name}.{part}": piece
                    for name, piece in zip(pair.theirs, turned, strict=True)
                }
    return found


def to_ours(
    found: Mapping[str, Tensor],
    names: Names,
    sizes: Sizes,
    kind: str,
    own: Mapping[str, Tensor],
    of_class: str | None,
) -> dict[str, Tensor]:
    """A checkpoint's weights by the names of a model of our class `kind`.

    A bias that ours has and theirs lacks is zero. What has no place in ours stays under its name,
    beginning as those of our trunk do if it is of theirs. `own`: the weights of the model;
    `of_class`: the class that was saved: what it knows of labels only the same class takes.
    """
    left = _renamed(found, names)
    ours: dict[str, Tensor] = {}
    head = names.heads.get(kind)
    for pair in names.pairs(sizes.layers, kind):
        in_trunk = all(name.startswith(names.trunk) for name in pair.theirs)
        if in_trunk or (head and (not head.labels or of_class == head.kind)):
            ours |= _joined(left, pair, sizes, own)
    if names.first_row:
        table = left.pop(f"{names.trunk}{names.first_row}.weight", None)
        if table is not None and f"{POSITIONS}.weight" in ours:
            ours[f"{POSITIONS}.weight"] = ours[f"{POSITIONS}.weight"].float() + table[0].float()
    return ours | {
        OURS + key.removeprefix(names.trunk) if key.startswith(names.trunk) else key: tensor
        for key, tensor in left.items()
    }


def _renamed(found: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    """By the names of today; those of a trunk alone with what they begin with in a whole model."""
    renamed: dict[str, Tensor] = {}
    for key, tensor in found.items():
        if not NO_WEIGHTS.search(key):
            for pattern, name in OLD_NAMES:
                key = pattern.sub(name, key)
            renamed[key] = tensor
    if any(key.startswith(names.trunk) for key in renamed):
        return renamed
    return {names.trunk + key: tensor for key, tensor in renamed.items()}


def _joined(
    left: dict[str, Tensor], pair: Pair, sizes: Sizes, own: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The weight and the bias of a layer of ours, taken out of what is left of theirs.

    A head that shares the embedding's weight may have a bias alone.
    """
    made = {}
    for part in PARTS:
        if all(f"{name}.{part}" in left for name in pair.theirs):
            rows = torch.cat(list(_taken(left, pair, sizes, part)))
            made[f"{pair.ours}.{part}"] = pair.order.back(rows, sizes.heads)
    weight, bias = made.get(f"{pair.ours}.weight"), f"{pair.ours}.bias"
    if weight is not None and bias in own and bias not in made:
        made[bias] = weight.new_zeros(len(weight))
    return made


def _taken(left: dict[str, Tensor], pair: Pair, sizes: Sizes, part: str) -> Iterator[Tensor]:
    for place, name in enumerate(pair.theirs):
        rows = left.pop(f"{name}.{part}")
        yield _repeated(rows, sizes) if pair.by_group and place else rows


def _repeated(rows: Tensor, sizes: Sizes) -> Tensor:
    """Rows (G * K, ...) once for each head that they serve, (H * K, ...)."""
    if sizes.groups == sizes.heads:
        return rows
    by_head = rows.unflatten(0, (sizes.groups, -1))
    return by_head.repeat_interleave(sizes.heads // sizes.groups, dim=0).flatten(0, 1)
