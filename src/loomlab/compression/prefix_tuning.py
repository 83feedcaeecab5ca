"""Trained keys and values before the text, in each layer of a frozen model."""

from __future__ import annotations

from typing import Annotated

from torch import nn

from loomlab.attention.prefixed import Prefixed
from loomlab.compression.adapted import PartlyTrained, new_heads
from loomlab.errors import InputError
from loomlab.model.block import SelfAttention
from loomlab.model.reshaped import replace


class PrefixTuning(PartlyTrained):
    """Train keys and values that every token sees in every layer; they stay in the saved model.

    Li & Liang 2021, arXiv 2101.00190, trained directly as by Liu et al. 2021 (P-Tuning v2, arXiv
    2110.07602, section 3.3) and not through a network. It wants a larger rate than adapters.
    """

    option = "prefix_tuning"
    matrices = False
    requires = {"model.trained_by": ("gradient",), "model.takes_prefix": (True,)}
    because = {
        "model.trained_by": "a prefix is trained by gradient",
        "model.takes_prefix": "models of Transformers bring an attention of their own, which has "
        "no place for a prefix that is saved with the model",
        "conflicts": "the model is frozen, so nothing else may train, prune or round it",
    }

    def __init__(self, length: Annotated[int, "[1, inf)"] = 16) -> None:
        """`length` is the number of keys and values per layer and head."""
        super().__init__([])
        self.length = length

    def transform(self, model: nn.Module) -> nn.Module:
        """Freeze the model and let each attention see a prefix.

        Raises:
            InputError: it has no attention of this package.
        """
        found = {n: m for n, m in model.named_modules() if isinstance(m, SelfAttention)}
        if not found:
            raise InputError(
                f"compression.prefix_tuning: {type(model).__name__} has no attention of model=gpt "
                "or model=bert: use one of these, or compression=[lora]"
            )
        model.requires_grad_(False)
        for head in new_heads(model):
            model.get_submodule(head).requires_grad_(True)
        for name, layer in found.items():
            sizes = {"length": self.length, "heads": layer.heads, "head_width": layer.head_width}
            made = Prefixed(layer.attention, **sizes)
            replace(model, f"{name}.attention", made, {"kind": "prefix", **sizes})
        self.count(model)
        return model
