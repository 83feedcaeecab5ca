"""Windows over the packed token stream.

Shape suffixes: B batch, T sequence length, U = T + 1.
"""

import numpy as np
import torch
from torch.utils.data import Dataset

from loomlab.errors import InputError
from loomlab.text.samples import Samples
from loomlab.text.token_file import TokenFile


def window_count(tokens: int, sequence_length: int) -> int:
    """How many windows of sequence_length + 1 tokens, one at each multiple of sequence_length."""
    return max(0, (tokens - 1) // sequence_length)


class PackedWindows(Dataset[Samples]):
    """Map-style dataset: window i holds tokens [i * T, i * T + T], documents packed end to end."""

    def __init__(
        self,
        token_file: TokenFile,
        sequence_length: int,
        document_mask: bool = False,
        max_samples: int | None = None,
    ) -> None:
        self.token_file, self.sequence_length = token_file, sequence_length
        self.document_mask = document_mask
        windows = window_count(len(token_file), sequence_length)
        self.samples = windows if max_samples is None else min(windows, max_samples)

    def __len__(self) -> int:
        return self.samples

    def require_some(self, part: str) -> None:
        """Refuse a text without a window; `part` is what it is of the corpus.

        Raises:
            InputError: it has none.
        """
        if not self.samples:
            tokens = len(self.token_file)
            raise InputError(
                f"the {part} part of the corpus has {tokens} tokens, fewer than one sequence "
                f"of {self.sequence_length} + 1: set sequence_length to {tokens - 1} or "
                "less, or use more text"
            )

    def __getitem__(self, pair: tuple[int, int]) -> Samples:
        return self.__getitems__([pair])

    def __getitems__(self, pairs: list[tuple[int, int]]) -> Samples:
        """Gather the windows of (window, epoch) pairs in one read of the memory map."""
        pair_B2 = np.asarray(pairs, dtype=np.int64)
        offset_U = np.arange(self.sequence_length + 1)
        position_BU = pair_B2[:, :1] * self.sequence_length + offset_U
        tokens_BU = self.token_file.tokens[position_BU].astype(np.int64)
        document_BU = None
        if self.document_mask:
            document_BU = torch.from_numpy(self.token_file.document_of(position_BU))
        return Samples(
            tokens_BU=torch.from_numpy(tokens_BU),
            document_BU=document_BU,
            index_B=torch.from_numpy(pair_B2[:, 0].copy()),
            epoch_B=torch.from_numpy(pair_B2[:, 1].copy()),
        )
