"""Scales of keys, values and hidden units, through peft."""

from __future__ import annotations

from typing import Any

from peft import IA3Config, PeftConfig
from torch import nn
from transformers.pytorch_utils import Conv1D

from loomlab.compression.adapted import Adapted, either
from loomlab.errors import InputError

# How models call the layers that make keys and values, alone or together with the queries.
KEYS_AND_VALUES = {
    *("qkv", "c_attn", "query_key_value", "Wqkv", "in_proj", "qkv_proj"),
    *("key", "value", "k_proj", "v_proj", "key_proj", "value_proj", "k_lin", "v_lin", "k", "v"),
}


class IA3(Adapted):
    """Train one scale per key, value and hidden unit of the MLPs; merged on export.

    Liu et al. 2022, arXiv 2205.05638, section 3.3. Where one layer makes queries, keys and values
    the queries are scaled as well.
    """

    option = "ia3"
    matrices = False

    def __init__(
        self,
        targets: list[str] = [],  # noqa: B006  a schema default, never changed
    ) -> None:
        """`targets` are names of layers (or globs); empty means what the paper scales.

        What goes into a layer is scaled if that has fewer outputs than inputs, as the second of
        an MLP; of keys, values and all other layers what comes out.
        """
        super().__init__(targets)

    def chosen(self, model: nn.Module) -> dict[str, nn.Module]:
        """Keys, values and the second layers of MLPs, unless others are named.

        Raises:
            InputError: a target names no layer, or no layer is known as one of these.
        """
        found = super().chosen(model)
        if self.targets:
            return found
        known = {n: m for n, m in found.items() if _is_key_or_value(n) or _narrows(n, m)}
        if not any(map(_is_key_or_value, known)):
            ends = sorted({name.rpartition(".")[2] for name in found})
            raise InputError(
                "compression.ia3: which layers of this model make keys and values is not known; "
                f"name the layers to scale by compression.ia3.targets: it has {', '.join(ends)}"
            )
        return known

    def config(self, layers: dict[str, nn.Module], **common: Any) -> PeftConfig:
        """Which layers are scaled at their inputs."""
        before = either(n for n, m in layers.items() if _narrows(n, m))
        return IA3Config(feedforward_modules=before or [], **common)


def _is_key_or_value(name: str) -> bool:
    return name.rpartition(".")[2] in KEYS_AND_VALUES


def _narrows(name: str, layer: nn.Module) -> bool:
    """Whether a layer gives less than it takes: the keys of grouped queries do too, and are not
    meant.
    """
    inputs, outputs = sizes(layer)
    return outputs < inputs and not _is_key_or_value(name)


def sizes(layer: Any) -> tuple[int, int]:
    """Inputs and outputs of a layer."""
    if isinstance(layer, Conv1D):
        return layer.nx, layer.nf
    return layer.in_features, layer.out_features
