"""Dropout, set on a model as it is built, whoever's model it is."""

from __future__ import annotations

import inspect
import logging
import re
from typing import Annotated

from torch import nn

from loomlab.errors import InputError
from loomlab.optimizer.layers import NUMBERED
from loomlab.regularization.base import Regularization

log = logging.getLogger("loomlab")
KINDS = ("hidden", "attention", "embedding")
ATTENTION_MODULES = {"self", "self_attn", "attn", "attention", "self_attention", "SelfAttention"}


class Dropout(Regularization):
    """Zero hidden values, attention weights and embeddings at random (Srivastava et al. 2014).

    Sets the rates that the model's own settings or its checkpoint gave. A rate of null leaves
    them as they are. What a model has no place to drop is left out, which the log says.
    """

    conflicts = ("dropout", "dropout_light", "dropout_strong")
    requires = {"model.trained_by": ("gradient",)}
    because = {
        "model.trained_by": "counts have nothing to drop",
        "conflicts": "a run has one rate of dropout",
    }

    def __init__(
        self,
        hidden: Annotated[float, "[0, 1)"] | None = 0.1,
        attention: Annotated[float, "[0, 1)"] | None = 0.1,
        embedding: Annotated[float, "[0, 1)"] | None = 0.1,
    ) -> None:
        self.rates = dict(zip(KINDS, (hidden, attention, embedding), strict=True))

    def transform(self, model: nn.Module) -> nn.Module:
        """Set the rates.

        Raises:
            InputError: the model drops nothing of what rates are given for.
        """
        places = dropout_places(model)
        asked = [kind for kind, rate in self.rates.items() if rate]
        absent = [kind for kind in asked if kind not in {of_kind for _, _, of_kind in places}]
        what = f"{type(model).__name__} has no {' or '.join(absent)} dropout"
        if asked and absent == asked:
            raise InputError(f"regularization.dropout: {what}; choose another regularization")
        if absent:
            log.info("regularization.dropout: %s", what)
        for owner, name, kind in places:
            if self.rates.get(kind) is not None:
                setattr(owner, name, self.rates[kind])
        return model


def dropout_places(model: nn.Module) -> list[tuple[object, str, str]]:
    """Every rate a model has: who holds it, under which name, and what it drops.

    Rates are held by dropout modules, by modules that call the function, or, where a model asks
    its configuration in each forward pass, by that.
    """
    found: list[tuple[object, str, str]] = []
    for path, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            found.append((module, "p", _kind(path)))
            continue
        for name, value in vars(module).items():
            rate = isinstance(value, float | int) and not isinstance(value, bool)
            if rate and "dropout" in name and _reads(type(module), name):
                found.append((module, name, _kind(f"{path}.{name}")))
    config = getattr(model, "config", None)
    has_attention = any(kind == "attention" for _, _, kind in found)
    if not has_attention and hasattr(config, "attention_dropout"):
        found.append((config, "attention_dropout", "attention"))
    return found


def _reads(kind: type, name: str) -> bool:
    """Whether a class does more with an attribute than to set it: OPT keeps one it never uses."""
    return bool(re.search(rf"self\.{name}\b(?!\s*=[^=])", inspect.getsource(kind)))


def _kind(path: str) -> str:
    """What a rate at such a place drops: by its own name, its module's, and its layer's."""
    *above, last = path.split(".")
    owner = above[-1] if above else ""
    if "emb" in last or "emb" in owner:
        return "embedding"
    if ("attn" in last or "attention" in last) and not last.startswith(("post", "resid")):
        return "attention"
    if owner in ATTENTION_MODULES and last in ("dropout", "dropout_p"):
        return "attention"
    # what lies before the numbered layers: `transformer.drop` of GPT-2
    outside = not NUMBERED.search(f"{path}.") and len(above) > 0
    return "embedding" if outside and owner in ("transformer", "decoder", "encoder") else "hidden"
