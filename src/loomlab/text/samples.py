"""What a corpus hands to an objective's collate.

Shape suffixes: B batch, T sequence length, U = T + 1.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """A batch of windows.

    tokens_BU: int64; inputs are [:, :-1], next-token targets [:, 1:].
    document_BU: int64 number of the document of each token, or None when not asked for.
    index_B, epoch_B: int64; window number and epoch, the key of any per-sample randomness.
    """

    tokens_BU: Tensor
    document_BU: Tensor | None
    index_B: Tensor
    epoch_B: Tensor

    def __len__(self) -> int:
        return self.tokens_BU.shape[0]
