"""Load a saved model with the head of an objective."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file

from loomlab.errors import InputError, first_line
from loomlab.model.foreign_unit import say_own_unit
from loomlab.model.reshaped import MARKER, rebuild

HEADS = {
    "causal_lm": "AutoModelForCausalLM",
    "masked_lm": "AutoModelForMaskedLM",
    "sequence_classification": "AutoModelForSequenceClassification",
    "token_classification": "AutoModelForTokenClassification",
}

UNLOADABLE = (OSError, ValueError, RuntimeError, pickle.UnpicklingError, SafetensorError)


def load_pretrained(folder: Path, head: str) -> Any:
    """The model of a folder in Transformers layout, through the Auto class of the head.

    A model of this package must have been imported: its module registers it.

    Raises:
        InputError: the files are damaged, or would run code if they were loaded.
    """
    auto = getattr(transformers, HEADS[head])
    try:
        if MARKER in json.loads((folder / "config.json").read_text(encoding="utf-8")):
            return say_own_unit(_load_reshaped(folder, auto))
        model = auto.from_pretrained(
            folder, dtype="float32", local_files_only=True, trust_remote_code=False
        )
        return say_own_unit(model)
    except InputError:
        raise
    except UNLOADABLE as error:
        raise InputError(f"the model in {folder} cannot be loaded: {reason(error)}") from error


def _load_reshaped(folder: Path, auto: Any) -> Any:
    """A model some layers of which compression replaced: Transformers alone cannot build it."""
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    model = rebuild(auto.from_config(config, dtype="float32"))
    found = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    model.tie_weights()
    lost = set(found.missing_keys) - set(getattr(model, "all_tied_weights_keys", {}) or {})
    if lost or found.unexpected_keys:
        raise ValueError(
            f"weights do not fit: {', '.join(sorted({*lost, *found.unexpected_keys}))}"
        )
    return model.eval()


def reason(error: Exception) -> str:
    """Why a saved model cannot be loaded, in a line."""
    if isinstance(error, pickle.UnpicklingError):
        return "its weights are a pickle that would run code (save them as model.safetensors)"
    return first_line(error)
