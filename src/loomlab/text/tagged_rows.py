"""Rows of tagged words: a label at the first token of each word, none at the others."""

# Shapes: B rows, T tokens of the longest row, N words of all rows.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loomlab.text.label_file import LabelFile
from loomlab.text.rows import Frame, LabelledRows
from loomlab.text.token_file import TokenFile

UNTAGGED = -100  # what PyTorch's losses ignore


@dataclass(frozen=True)
class TaggedBatch:
    """A batch of rows of words.

    tokens_BT: int64, padded at the end; mask_BT: int64, 1 at real tokens; tags_BT: int64, the
    label at the first token of each word and -100 elsewhere; index_B, epoch_B: int64.
    """

    tokens_BT: Tensor
    mask_BT: Tensor
    tags_BT: Tensor
    index_B: Tensor
    epoch_B: Tensor

    def __len__(self) -> int:
        return self.tokens_BT.shape[0]


class TaggedRows(LabelledRows):
    """Map-style dataset: row i is document i of a token file, with the labels of its words.

    starts: (N,) the first token of each word, counted within the text of its row.
    """

    def __init__(
        self,
        token_file: TokenFile,
        label_file: LabelFile,
        frame: Frame,
        max_samples: int | None = None,
        *,
        starts: np.ndarray,
    ) -> None:
        assert len(starts) == len(label_file.numbers), "words and labels of one corpus"
        super().__init__(token_file, label_file, frame, max_samples)
        self.tag_file, self.starts = label_file, starts

    def note(self) -> str:
        """How many words have no token within their row, and so are not scored."""
        of_these = self.starts[: self.tag_file.place(self.samples - 1).stop]
        lost = int(((of_these < 0) | (of_these >= self.frame.room)).sum())
        if not lost:
            return ""
        return f", {lost:,} of {len(of_these):,} words lie past that and are not scored"

    def tags(self, index: int) -> np.ndarray:
        """The label of each token of a row, int64: -100 but at the first token of a word."""
        place = self.tag_file.place(index)
        tags = np.full(int(self.lengths[index]), UNTAGGED, np.int64)
        starts, numbers = self.starts[place], self.tag_file.numbers[place]
        kept = (starts >= 0) & (starts < self.frame.room)
        tags[starts[kept] + len(self.frame.before)] = numbers[kept]
        return tags

    def __getitems__(self, pairs: list[tuple[int, int]]) -> Any:
        """The rows of (row, epoch) pairs, padded to the longest of them."""
        tokens_BT, mask_BT = self.frame.pad_rows([self.row(index) for index, _ in pairs])
        tags_BT = torch.full_like(tokens_BT, UNTAGGED)
        for number, (index, _) in enumerate(pairs):
            tags = self.tags(index)
            tags_BT[number, : len(tags)] = torch.from_numpy(tags)
        index_B, epoch_B = torch.tensor(pairs, dtype=torch.int64).unbind(1)
        return TaggedBatch(tokens_BT, mask_BT, tags_BT, index_B, epoch_B)
