"""Load a saved model with the head of an objective."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers

HEADS = {"causal_lm": "AutoModelForCausalLM", "masked_lm": "AutoModelForMaskedLM"}


def load_pretrained(folder: Path, head: str) -> Any:
    """The model of a folder in Transformers layout, through the Auto class of the head.

    A model of this package must have been imported: its module registers it.
    """
    return getattr(transformers, HEADS[head]).from_pretrained(
        folder, dtype="float32", local_files_only=True, trust_remote_code=False
    )
