"""Labelled documents as rows: one document a sample, framed, cut and padded to the longest."""

# Shapes: B rows, T tokens of the longest row, C label names or numbers.

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from loomlab.text.label_file import LabelFile
from loomlab.text.number_file import NumberFile
from loomlab.text.token_file import TokenFile


@dataclass(frozen=True)
class Rows:
    """A batch of labelled rows.

    tokens_BT: int64, padded at the end; mask_BT: int64, 1 at real tokens; labels_BC: float32, 1
    at the labels of a row, or float64, its numbers; index_B, epoch_B: int64, row number and epoch.
    """

    tokens_BT: Tensor
    mask_BT: Tensor
    labels_BC: Tensor
    index_B: Tensor
    epoch_B: Tensor

    def __len__(self) -> int:
        return self.tokens_BT.shape[0]


@dataclass(frozen=True)
class Frame:
    """The special tokens around the text of a row, and the most tokens a row may have.

    A tokenizer with cls and sep tokens gives [CLS] text [SEP], another one text and eos.
    """

    before: tuple[int, ...]
    after: int
    pad: int
    length: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast, length: int) -> Frame:
        """The frame for a tokenizer and rows of at most `length` tokens."""
        if tokenizer.cls_token_id is None or tokenizer.sep_token_id is None:
            return cls((), tokenizer.eos_token_id, tokenizer.pad_token_id, length)
        pad = tokenizer.pad_token_id
        return cls((tokenizer.cls_token_id,), tokenizer.sep_token_id, pad, length)

    @property
    def room(self) -> int:
        """Tokens of text that fit."""
        return self.length - len(self.before) - 1

    def ids(self, text_ids: np.ndarray) -> np.ndarray:
        """A row from the ids of its text: cut at the end and framed, int64."""
        return np.concatenate([self.before, text_ids[: self.room], [self.after]]).astype(np.int64)

    def pad_rows(self, rows: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Tokens (B, T), padded at the end, and the mask of real ones (B, T)."""
        shape = len(rows), max(len(row) for row in rows)
        tokens_BT, mask_BT = np.full(shape, self.pad, np.int64), np.zeros(shape, np.int64)
        for number, row in enumerate(rows):
            tokens_BT[number, : len(row)] = row
            mask_BT[number, : len(row)] = 1
        return torch.from_numpy(tokens_BT), torch.from_numpy(mask_BT)


def framing_tokenizer(tokenizer: PreTrainedTokenizerFast, length: int) -> PreTrainedTokenizerFast:
    """A copy that frames by itself, so that a saved model reads what it was trained on."""
    frame = Frame.of(tokenizer, length)
    around = [*frame.before, frame.after]
    names = tokenizer.convert_ids_to_tokens(around)
    framing = copy.deepcopy(tokenizer)
    framing.backend_tokenizer.post_processor = TemplateProcessing(
        single=[*names[:-1], "$A", names[-1]],
        special_tokens=list(zip(names, around, strict=True)),
    )
    framing.model_max_length = length
    return framing


class LabelledRows(Dataset[Rows]):
    """Map-style dataset: row i is document i of a token file, with its labels."""

    def __init__(
        self,
        token_file: TokenFile,
        label_file: LabelFile | NumberFile,
        frame: Frame,
        max_samples: int | None = None,
    ) -> None:
        assert len(token_file.ends) == len(label_file), "documents and labels of one corpus"
        self.token_file, self.label_file, self.frame = token_file, label_file, frame
        self.samples = min(len(label_file), max_samples or len(label_file))
        ends = token_file.ends[: self.samples].astype(np.int64)
        text = np.diff(ends, prepend=0) - 1  # without the eos of the token file
        self.lengths = np.minimum(text, frame.room) + len(frame.before) + 1
        self.cut = int((text > frame.room).sum())

    def __len__(self) -> int:
        return self.samples

    def note(self) -> str:
        """What else is to be said of the rows, after how many were cut to which length."""
        return ""

    def row(self, index: int) -> np.ndarray:
        """Token ids of a row, framed and cut."""
        start = int(self.token_file.ends[index - 1]) if index else 0
        return self.frame.ids(self.token_file.tokens[start : int(self.token_file.ends[index]) - 1])

    def typical(self) -> int:
        """The first row whose length is nearest to the mean."""
        return int(np.abs(self.lengths - self.lengths.mean()).argmin())

    def __getitem__(self, pair: tuple[int, int]) -> Rows:
        return self.__getitems__([pair])

    def __getitems__(self, pairs: list[tuple[int, int]]) -> Rows:
        """The rows of (row, epoch) pairs, padded to the longest of them."""
        tokens_BT, mask_BT = self.frame.pad_rows([self.row(index) for index, _ in pairs])
        labels_BC = self.label_file.targets([index for index, _ in pairs])
        index_B, epoch_B = torch.tensor(pairs, dtype=torch.int64).unbind(1)
        return Rows(tokens_BT, mask_BT, torch.from_numpy(labels_BC), index_B, epoch_B)
