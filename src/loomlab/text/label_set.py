"""What an objective and a model need to know of the labels of a corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loomlab.text.numbers import Spread


@dataclass(frozen=True)
class LabelSet:
    """The labels of a corpus, by number.

    names, counts: of each label, its name and how many training rows have it. rows: training
    rows. row_length: the most tokens a row is read to. not_single: a row that has not exactly one
    label, in words; empty if there is none. spread: of labels that are numbers, how they are
    spread in training rows.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]
    rows: int
    row_length: int
    not_single: str = ""
    spread: Spread | None = None

    def head_settings(self) -> dict[str, Any]:
        """The labels as keywords of any Transformers config."""
        settings: dict[str, Any] = {
            "id2label": dict(enumerate(self.names)),
            "label2id": {name: number for number, name in enumerate(self.names)},
        }
        if self.spread is not None:
            settings["label_mean"] = list(self.spread.mean)
            settings["label_deviation"] = list(self.spread.deviation)
        return settings
