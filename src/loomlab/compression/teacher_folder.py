"""What the folder of a teacher says of it while nothing is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from loomlab.text.identity import files_digest

# Endings of the class names that a saved model records.
HEADS = {
    "ForCausalLM": "causal_lm",
    "LMHeadModel": "causal_lm",
    "ForMaskedLM": "masked_lm",
    "ForSequenceClassification": "sequence_classification",
    "ForTokenClassification": "token_classification",
}
GIVE = "give a finished run folder, or a model folder in Transformers layout"


@dataclass(frozen=True)
class TeacherFolder:
    """A run folder with its model/, or a folder in Transformers layout itself."""

    path: Path

    @property
    def model(self) -> Path:
        """Where config.json, weights and tokenizer lie."""
        inner = self.path / "model"
        return inner if (inner / "config.json").is_file() else self.path

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json of the model; empty where there is none that can be read."""
        try:
            found = json.loads((self.model / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def head(self) -> str | None:
        """The model head it was trained with; None if it does not say."""
        if self.config.get("model_type") == "loom_ngram":
            return "causal_lm"
        for name in self.config.get("architectures") or []:
            for ending, head in HEADS.items():
                if str(name).endswith(ending):
                    return head
        return None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels of a classifier, by their numbers."""
        named = self.config.get("id2label") or {}
        return tuple(named[key] for key in sorted(named, key=int))

    def problem(self, head: str) -> str:
        """Why it cannot teach a model with that head; empty if nothing speaks against it."""
        if not self.path.is_dir():
            return f"there is no folder {self.path}; {GIVE}"
        if not self.config:
            return f"{self.path} has no finished model; {GIVE}"
        unknown = self.head is None and (self.path / "config.yaml").is_file()
        if self.head != head and not unknown:
            other = f"was trained with the head {self.head}" if self.head else "tells no head"
            return f"{self.path} {other}, and this objective trains {head}; {GIVE} that has it"
        return ""

    def fingerprint(self) -> str:
        """Changes with the weights."""
        ends = ("safetensors", "json", "bin", "npz")
        return files_digest(sorted(p for e in ends for p in self.model.glob(f"*.{e}")))
