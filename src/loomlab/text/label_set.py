"""What an objective and a model need to know of the labels of a corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LabelSet:
    """The labels of a corpus, by number.

    names, counts: of each label, its name and how many training rows have it. rows: training
    rows. row_length: the most tokens a row is read to. not_single: a row that has not exactly one
    label, in words; empty if there is none.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    rows: int
    row_length: int
    not_single: str = ""

    def head_settings(self) -> dict[str, Any]:
        """The labels as keywords of any Transformers config."""
        return {
            "id2label": dict(enumerate(self.names)),
            "label2id": {name: number for number, name in enumerate(self.names)},
        }
