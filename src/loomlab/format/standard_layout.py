"""Our models in the classes of Transformers that compute the same, where there are any."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from loomlab.format.absolute_layouts import bert, gpt2
from loomlab.format.copied_weights import ACTIVATIONS, is_classifier
from loomlab.format.rotary_layouts import gpt_neox, llama, mistral
from loomlab.model.bert import BERTForMaskedLM, BERTForSequenceClassification
from loomlab.model.gpt import GPTForCausalLM, GPTForSequenceClassification
from loomlab.model.reshaped import MARKER

DECODERS = (GPTForCausalLM, GPTForSequenceClassification)
ENCODERS = (BERTForMaskedLM, BERTForSequenceClassification)
ANY = (True, False)
Computes = dict[str, Collection[Any]]  # values by setting


@dataclass(frozen=True)
class Standard:
    """A kind of model that Transformers has, and which of our settings it computes."""

    name: str
    kinds: tuple[type, ...]
    make: Callable[[Any], Any]
    computes: Computes

    def unlike(self, settings: Mapping[str, Any]) -> list[str]:
        """The settings that it does not compute."""
        off = [name for name, known in self.computes.items() if settings[name] not in known]
        return [f"{name}={settings[name]}" for name in off]


PLAIN: Computes = {
    "attention": ("full",),
    "norm_order": ("pre",),
    "embedding_norm": (False,),
    "bias": ANY,
}
LAYERNORM: Computes = {"norm": ("layernorm",), "activation": tuple(ACTIVATIONS)}
LLAMA: Computes = PLAIN | {"position": ("rope",), "norm": ("rmsnorm",), "activation": ("swiglu",)}
ABSOLUTE: Computes = {"position": ("learned", "none")}
POST: Computes = {"norm_order": ("post",), "embedding_norm": (True,), "head_transform": (True,)}
STANDARDS = (
    Standard("GPT-2", DECODERS, gpt2, PLAIN | LAYERNORM | ABSOLUTE),
    Standard("GPT-NeoX", DECODERS, gpt_neox, PLAIN | LAYERNORM | {"position": ("rope",)}),
    Standard("Llama", DECODERS, llama, LLAMA),
    Standard(
        "Mistral", DECODERS, mistral, LLAMA | {"attention": ("sliding_window",), "bias": (False,)}
    ),
    Standard("BERT", ENCODERS, bert, PLAIN | LAYERNORM | ABSOLUTE | POST),
)


def standard_layout(model: nn.Module) -> PreTrainedModel | None:
    """The same model in a class of Transformers; None where no class computes the same."""
    for standard in _of_its_kind(model):
        if not standard.unlike(_settings(model)):
            made: PreTrainedModel = standard.make(model).eval()
            return made
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
    return [standard for standard in STANDARDS if type(model) in standard.kinds]


def _settings(model: Any) -> dict[str, Any]:
    """The settings that decide what is computed, options by name."""
    config = model.config
    names = ("norm", "norm_order", "embedding_norm", "activation", "bias")
    attentions = {_option(block.attention.attention, "attention") for block in model.blocks()}
    return {name: getattr(config, name) for name in names} | {
        "position": _option(model.transformer.position, "position"),
        "attention": "+".join(sorted(attentions)),
        "head_transform": is_classifier(model) or getattr(config, "head_transform", True),
    }


def _option(part: nn.Module, axis: str) -> str:
    """An option of ours by its name, another by where it is."""
    return type(part).__module__.removeprefix(f"loomlab.{axis}.")
