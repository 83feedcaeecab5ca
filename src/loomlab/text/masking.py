"""Which tokens of a window are masked, as a pure function of (seed, epoch, sample)."""

# Shapes: B rows, T positions, M masked positions over all rows.

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Masker:
    """Masks as many ordinary tokens in each row as a fixed share of its length.

    A fixed count per row (as the original BERT data had it) rather than a coin per token: each
    row weighs the same, whatever special tokens it holds. Whole words may leave a row a few
    tokens short of the count, or take one over it.
    """

    def __init__(
        self,
        *,
        rate: float,
        to_mask: float,
        to_random: float,
        mask_id: int,
        special_ids: Sequence[int],
        vocab_size: int,
        seed: int,
        word_starts: NDArray[np.bool_] | None = None,
    ) -> None:
        self.rate = rate
        self.to_mask = to_mask
        self.to_random = to_random
        self.mask_id = mask_id
        self.seed = seed
        self.word_starts = word_starts
        self.special = np.zeros(vocab_size, dtype=bool)
        self.special[list(special_ids)] = True
        self.ordinary_ids = np.flatnonzero(~self.special)

    def __call__(
        self, tokens_BT: Ints, samples: Sequence[int], epochs: Sequence[int]
    ) -> tuple[Ints, Ints]:
        """Inputs (B, T) with replaced tokens, and flat positions (M,) of what was chosen."""
        inputs_BT = tokens_BT.copy()
        width = tokens_BT.shape[1]
        chosen = []
        for row, (sample, epoch) in enumerate(zip(samples, epochs, strict=True)):
            generator = np.random.Generator(
                np.random.Philox(key=[self.seed, sample], counter=[0, 0, 0, epoch])
            )
            picked = self._pick(tokens_BT[row], generator)
            inputs_BT[row, picked] = self._replace(tokens_BT[row, picked], generator)
            chosen.append(picked + row * width)
        return inputs_BT, np.concatenate(chosen)

    def count(self, length: int) -> int:
        """Tokens to predict of a row: round(rate * length), at least one."""
        return max(1, round(self.rate * length))

    def _pick(self, tokens_T: Ints, generator: np.random.Generator) -> Ints:
        """Positions to predict: the count of the row, at most all ordinary ones."""
        candidates = np.flatnonzero(~self.special[tokens_T])
        count = min(len(candidates), self.count(len(tokens_T)))
        if self.word_starts is None:
            picked = generator.permutation(candidates)[:count]
        else:
            picked = self._pick_words(tokens_T, candidates, count, generator)
        return np.sort(picked).astype(np.int64)

    def _pick_words(
        self, tokens_T: Ints, candidates: Ints, count: int, generator: np.random.Generator
    ) -> Ints:
        """Whole words in random order while they fit into `count`; at least one word."""
        assert self.word_starts is not None
        if not len(candidates):
            return candidates
        begins = self.word_starts[tokens_T[candidates]]  # an array of its own
        begins[1:] |= np.diff(candidates) > 1  # a special token between them ends a word
        begins[0] = True
        words = np.split(candidates, np.flatnonzero(begins)[1:])
        picked: list[Ints] = []
        taken = 0
        for number in generator.permutation(len(words)):
            if not picked or taken + len(words[number]) <= count:
                picked.append(words[number])
                taken += len(words[number])
        return np.concatenate(picked)

    def _replace(self, originals_K: Ints, generator: np.random.Generator) -> Ints:
        """The mask for most, a random ordinary token for some, the rest left as they are."""
        dice = generator.random(len(originals_K))
        random_ids = generator.choice(self.ordinary_ids, len(originals_K))
        masked = np.where(dice < self.to_mask, self.mask_id, originals_K)
        randomly = (dice >= self.to_mask) & (dice < self.to_mask + self.to_random)
        return np.where(randomly, random_ids, masked)
