"""Models of Transformers that say numbers in the unit of their labels, here and elsewhere.

Their head is trained on standardized numbers, of which a hook makes the others. In the folder of
a saved model weight and bias of the head have the unit in them, so that plain Transformers says
the same; `label_head` of its config names that layer.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from loomlab.model.own_unit import fold_unit, in_own_unit, label_unit, unfold_unit
from loomlab.model.reshaped import MARKER

FOLDED = "label_head"
FAR = 10  # deviations from 0, where scaled numbers are all but the same
log = logging.getLogger("loomlab.model")


def say_own_unit(model: Any) -> Any:
    """The model, which from now on says numbers in their own unit, if it is one of numbers.

    A head that was saved with the unit in it has it no longer. One without a bias is trained on
    numbers that are scaled alone: it could not be saved with a mean.
    """
    if label_unit(model.config) is None or getattr(model, "says_own_unit", False):
        return model
    name = _head(model)
    head = model.get_submodule(name)
    bias = getattr(head, "bias", None)
    if getattr(model.config, FOLDED, None):
        unfold_unit(head.weight, bias, model.config)
        setattr(model.config, FOLDED, None)
    elif bias is None:
        _scale_alone(model)
    model.says_own_unit = True
    model.register_forward_hook(_in_own_unit)
    return model


def _in_own_unit(model: nn.Module, inputs: Any, output: Any) -> Any:
    output.logits = in_own_unit(output.logits, model.config)
    return output


def _scale_alone(model: Any) -> None:
    mean, deviation = label_unit(model.config) or ([], [])
    model.config.label_deviation = list(map(math.hypot, mean, deviation))
    model.config.label_mean = [0.0 for _ in mean]
    for middle, around in zip(mean, deviation, strict=True):
        if abs(middle) > FAR * around:
            log.warning(
                "the numbers are %.6g give or take %.3g, and the head of %s has no bias for that "
                "mean: give differences from a number near it, or use model=gpt or an encoder",
                middle, around, type(model).__name__,
            )  # fmt: skip


def _head(model: nn.Module) -> str:
    """The name of the last linear layer that says as many numbers as a text has."""
    wide = len(model.config.label_mean)  # type: ignore[union-attr, arg-type]
    found = [n for n, m in model.named_modules() if getattr(m, "out_features", None) == wide]
    return found[-1]


def save_own_unit(model: Any, folder: Path) -> None:
    """Save a model in Transformers layout, with the unit of its numbers in its head.

    A model in which compression has put layers of other kinds is saved as it is: Transformers
    alone cannot build that anyway. What is saved of one that says names is the model as well.
    """
    config = getattr(model, "config", None)
    hooked = label_unit(config) is not None and "says_own_unit" in vars(model)
    if not hooked or getattr(config, MARKER, None):
        model.save_pretrained(folder)
        return
    name = _head(model)
    head = model.get_submodule(name)
    kept = {key: value.detach().clone() for key, value in head.state_dict().items()}
    try:
        fold_unit(head, config)
        setattr(config, FOLDED, name)
        model.save_pretrained(folder)
    finally:
        head.load_state_dict(kept)
        setattr(config, FOLDED, None)


def unfold_weights(weights: dict[str, Tensor], settings: dict[str, Any]) -> None:
    """Take the unit out of the head in weights that were saved with such a config, in place."""
    if (name := settings.get(FOLDED)) and f"{name}.weight" in weights:
        config = SimpleNamespace(**{k: settings[k] for k in ("label_mean", "label_deviation")})
        unfold_unit(weights[f"{name}.weight"], weights.get(f"{name}.bias"), config)
