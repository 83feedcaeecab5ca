"""What can be wrong with a model of Hugging Face Transformers."""

import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from loomlab.errors import InputError, did_you_mean

OWN_TYPES = {"decoder": {"loom_gpt"}, "encoder": {"loom_bert"}}
LANGUAGE = {"decoder": "causal", "encoder": "masked"}


def problems(settings: dict[str, Any], architecture: str) -> list[str]:
    """What is wrong with the settings of `model=hf`, found without building the model."""
    name, model_type = settings.get("name"), settings.get("architecture_type")
    if (name is None) == (model_type is None):
        return [
            "model=hf needs exactly one of model.name (a hub name or a local folder) "
            "and model.architecture_type (such as llama)."
        ]
    if name is not None:
        model_type = _saved_type(Path(str(name)))
        if model_type is None:
            return []  # on the hub, or in a folder that `build` reports on
    return type_problems(str(model_type), architecture, settings.get("config") or {})


def _saved_type(folder: Path) -> str | None:
    """The model type of a saved model, or None where there is none to read."""
    try:
        saved = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return saved.get("model_type") if isinstance(saved, dict) else None


def type_problems(model_type: str, architecture: str, overrides: dict[str, Any]) -> list[str]:
    """What Transformers lacks of the type, the head and the keys that are asked for."""
    if model_type in OWN_TYPES[architecture]:
        return []
    from transformers.models.auto import configuration_auto, modeling_auto

    heads = {
        "decoder": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        "encoder": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    }[architecture]
    if model_type not in configuration_auto.CONFIG_MAPPING_NAMES:
        hint = did_you_mean(model_type, heads)
        return [f"model.architecture_type: Transformers has no model type {model_type}; {hint}"]
    kind = LANGUAGE[architecture]
    if model_type not in heads:
        return [
            f"model.architecture_type: {model_type} has no {kind} language model, which "
            f"the objective needs; types that have one: {_some(heads)}."
        ]
    config_class = configuration_auto.CONFIG_MAPPING[model_type]
    known = {field.name for field in fields(config_class)} | set(config_class.attribute_map)
    if "vocab_size" not in known:
        text_type = f"{model_type}_text"
        hint = f": give {text_type}." if text_type in heads else "."
        return [f"model.architecture_type: {model_type} reads more than text{hint}"]
    if "rope_parameters" in known:
        known |= {"rope_theta", "rope_scaling"}  # older names that the classes still take
    return [
        f"model.config.{key}: {config_class.__name__} has no {key}; {did_you_mean(key, known)}"
        for key in overrides
        if key not in known
    ]


def _some(names: Iterable[str]) -> str:
    """The best known of `names`."""
    common = ("gpt2", "llama", "qwen3", "gemma2", "bert", "roberta", "distilbert", "modernbert")
    present = set(names)
    return ", ".join(name for name in common if name in present)


def require_causal(model: Any, vocab_size: int) -> None:
    """Check by one short forward pass that a decoder hides later tokens.

    Transformers lists models such as XLNet as causal that see the whole sequence unless told
    otherwise: trained on next tokens, they would learn to copy the answer.

    Raises:
        InputError: changing the last token changes the logits of earlier ones.
    """
    import torch

    was_training = model.training
    model.eval()
    first = torch.arange(8)[None] % vocab_size
    second = first.clone()
    second[0, -1] = (second[0, -1] + 1) % vocab_size
    with torch.no_grad():
        before, after = (model(input_ids=ids).logits[:, :-1] for ids in (first, second))
    model.train(was_training)
    if (before - after).abs().max() > 1e-4 * before.abs().max().clamp(min=1e-6):
        raise InputError(
            f"model.architecture_type: {model.config.model_type} lets tokens see later ones, so "
            "it cannot be trained on next tokens: choose a decoder such as gpt2 or llama."
        )
