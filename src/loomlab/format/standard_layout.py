"""Our models in the classes of Transformers that compute the same, where there are any."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from loomlab.format import standard_config
from loomlab.model.own_unit import fold_unit, label_unit
from loomlab.model.reshaped import MARKER
from loomlab.model.standard_names import BERT, GPT2, GPT_NEOX, LLAMA, MISTRAL, Names
from loomlab.model.standard_settings import THEIR_ACTIVATION
from loomlab.model.standard_weights import Sizes, to_theirs

ANY = (True, False)
Computes = dict[str, Collection[Any]]  # values by setting


@dataclass(frozen=True)
class Standard:
    """A kind of model that Transformers has, and which of our settings it computes."""

    name: str
    names: Names
    config: Callable[[Any], PreTrainedConfig]
    computes: Computes

    def make(self, model: Any) -> PreTrainedModel:
        """The model in their class for its head; what ours lacks, such as biases, is zero."""
        config, kind = model.config, type(model).__name__
        theirs: PreTrainedModel = getattr(transformers, self.names.heads[kind].kind)(
            self.config(model)
        )
        sizes = Sizes(config.layers, config.heads, config.heads)
        with torch.no_grad():
            for weight in theirs.parameters():
                weight.zero_()
        found = to_theirs(model.state_dict(), self.names, sizes, kind)
        wrong = theirs.load_state_dict(found, strict=False).unexpected_keys
        assert not wrong, wrong
        if label_unit(config) is not None:  # our only head for numbers that theirs have, too
            fold_unit(theirs.get_submodule("classifier"), config)
        return theirs

    def unlike(self, settings: Mapping[str, Any]) -> list[str]:
        """The settings that it does not compute."""
        off = [name for name, known in self.computes.items() if settings[name] not in known]
        return [f"{name}={settings[name]}" for name in off]


PLAIN: Computes = {
    "attention": ("full",),
    "norm_order": ("pre",),
    "embedding_norm": (False,),
    "bias": ANY,
    "head_bias": (False,),  # the head of a decoder cannot hold a mean of numbers
}
LAYERNORM: Computes = {"norm": ("layernorm",), "activation": tuple(THEIR_ACTIVATION)}
OF_LLAMA: Computes = PLAIN | {
    "position": ("rope",),
    "norm": ("rmsnorm",),
    "activation": ("swiglu",),
}
ABSOLUTE: Computes = {"position": ("learned", "none")}
POST: Computes = {
    "norm_order": ("post",), "embedding_norm": (True,), "head_transform": (True,),
    "head_bias": ANY,
}  # fmt: skip
STANDARDS = (
    Standard("GPT-2", GPT2, standard_config.gpt2, PLAIN | LAYERNORM | ABSOLUTE),
    Standard(
        "GPT-NeoX",
        GPT_NEOX,
        standard_config.gpt_neox,
        PLAIN | LAYERNORM | {"position": ("rope",)},
    ),
    Standard("Llama", LLAMA, standard_config.llama, OF_LLAMA),
    Standard(
        "Mistral",
        MISTRAL,
        standard_config.mistral,
        OF_LLAMA | {"attention": ("sliding_window",), "bias": (False,)},
    ),
    Standard("BERT", BERT, standard_config.bert, PLAIN | LAYERNORM | ABSOLUTE | POST),
)


def standard_layout(model: nn.Module) -> PreTrainedModel | None:
    """The same model in a class of Transformers; None where no class computes the same."""
    for standard in _of_its_kind(model):
        if not standard.unlike(_settings(model)):
            return standard.make(model).eval()
    return None


def why_not_standard(model: nn.Module) -> str:
    """Why no class of Transformers computes a model: what is unlike the one nearest to it."""
    unlike = {s.name: s.unlike(_settings(model)) for s in _of_its_kind(model)}
    if not unlike:
        return f"none is of the kind of {type(model).__name__}"
    name = min(unlike, key=lambda name: len(unlike[name]))
    return f"{name} is nearest and has no {' and no '.join(unlike[name])}"


def _of_its_kind(model: Any) -> list[Standard]:
    if getattr(getattr(model, "config", None), MARKER, None):  # layers that compression made
        return []
    return [standard for standard in STANDARDS if _ours(model) in standard.names.heads]


def _ours(model: nn.Module) -> str:
    """The name of a class of ours; none for others, whatever they are called."""
    return type(model).__name__ if type(model).__module__.startswith("loomlab.model.") else ""


def _settings(model: Any) -> dict[str, Any]:
    """The settings that decide what is computed, options by name."""
    config = model.config
    names = ("norm", "norm_order", "embedding_norm", "activation", "bias")
    attentions = {_option(block.attention.attention, "attention") for block in model.blocks()}
    return {name: getattr(config, name) for name in names} | {
        "position": _option(model.transformer.position, "position"),
        "attention": "+".join(sorted(attentions)),
        "head_bias": label_unit(config) is not None,
        "head_transform": not hasattr(model, "logits_head")
        or getattr(config, "head_transform", True),
    }


def _option(part: nn.Module, axis: str) -> str:
    """An option of ours by its name, another by where it is."""
    return type(part).__module__.removeprefix(f"loomlab.{axis}.")
