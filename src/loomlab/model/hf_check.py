"""What can be wrong with a model of Hugging Face Transformers."""

import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from loomlab.errors import InputError, did_you_mean
from loomlab.quoting import to_type

OWN_TYPES = {
    "causal_lm": {"loom_gpt"},
    "masked_lm": {"loom_bert"},
    "sequence_classification": {"loom_gpt", "loom_bert"},
    "token_classification": {"loom_gpt", "loom_bert"},
}
KIND = {
    "causal_lm": "causal language model",
    "masked_lm": "masked language model",
    "sequence_classification": "classifier of sequences",
    "token_classification": "classifier of tokens",
}


def problems(settings: dict[str, Any], head: str, config: Any = None) -> list[str]:
    """What is wrong with the settings of `model=hf`, found without building the model.

    config: the whole config of a run, to see that pretrained weights meet their tokenizer.
    """
    name, package = settings.get("name"), settings.get("package")
    model_type = settings.get("architecture_type")
    alone = model_type if package is None else None  # a package may say its type as well
    if sum(given is not None for given in (name, package, alone)) != 1:
        return [
            "model=hf needs exactly one of model.name (a hub name or a local folder), "
            "model.architecture_type (such as llama) and model.package (as in model=minilm)."
        ]
    if package is not None and not settings.get("package_path"):
        return ["model.package_path: give the folder or GGUF file inside model.package."]
    if name is not None:
        model_type = _saved_type(Path(str(name)))
    found = []
    if model_type is not None:  # else on the hub, or in a folder that `build` reports on
        overrides = settings.get("config") or {}
        found = type_problems(str(model_type), head, overrides)
    return [*found, *foreign_tokenizer(name, config)]


def foreign_tokenizer(name: str | None, config: Any) -> list[str]:
    """Weights of the hub know the vocabulary they were trained with and no other.

    A local folder is not judged: it may hold a model of this package, trained on this corpus.
    """
    tokenizer = {} if config is None else config.get("tokenizer") or {}
    if name is None or config is None or Path(name).exists() or "package" in tokenizer:
        return []
    return [
        f"model.name: {name} has weights for its own vocabulary alone: "
        f"add tokenizer=hf {to_type('tokenizer.name', name)}"
    ]


def _saved_type(folder: Path) -> str | None:
    """The model type of a saved model, or None where there is none to read."""
    try:
        saved = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return saved.get("model_type") if isinstance(saved, dict) else None


def type_problems(model_type: str, head: str, overrides: dict[str, Any]) -> list[str]:
    """What Transformers lacks of the type, the head and the keys that are asked for."""
    if model_type in OWN_TYPES[head]:
        return []
    from transformers.models.auto import configuration_auto, modeling_auto

    heads = {
        "causal_lm": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        "masked_lm": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        "sequence_classification": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
        "token_classification": modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    }[head]
    if model_type not in configuration_auto.CONFIG_MAPPING:
        hint = did_you_mean(model_type, heads)
        return [f"model.architecture_type: Transformers has no model type {model_type}; {hint}"]
    if model_type not in heads:
        return [
            f"model.architecture_type: {model_type} has no {KIND[head]}, which "
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

    if any(p.is_meta for p in model.parameters()):
        return  # it has no values to compare: a model on paper
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
