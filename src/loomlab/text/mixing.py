"""Rows of several texts as one: one after the other, or drawn in given shares.

Shapes: B rows, U tokens of a window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from loomlab.text.packing import PackedWindows
from loomlab.text.samples import Samples


def shares(sizes: Sequence[int], temperature: float) -> list[float]:
    """Share of each text by its size, (size ** (1 / temperature)) over their sum.

    1: proportional to size; more makes them more alike, and inf equal. Section 3.5.2 of Raffel et
    al. 2020, "Exploring the Limits of Transfer Learning", without its limit on sizes.
    """
    scaled = np.asarray(sizes, dtype=np.float64) ** (1.0 / temperature)
    return list(scaled / scaled.sum())


def slots(rows: int, weights: Sequence[float]) -> list[int]:
    """How many of so many rows each text gives, by its weight; every text at least one.

    Largest remainders: the realised share is at most one row off the one asked for, where no text
    would be left without a row.
    """
    exact = np.asarray(weights, dtype=np.float64) / sum(weights) * rows
    given = np.floor(exact)
    for number in np.argsort(given - exact, kind="stable")[: rows - int(given.sum())]:
        given[number] += 1
    given = np.maximum(given, 1)
    while given.sum() > max(rows, len(given)):
        given[np.argmax(given)] -= 1
    return [int(number) for number in given]


class JoinedRows(Dataset[Samples]):
    """Windows of several texts one after the other: (row, epoch) counts through all of them."""

    def __init__(self, parts: Sequence[PackedWindows]) -> None:
        self.parts = parts
        self.sizes = [len(part) for part in parts]

    def __len__(self) -> int:
        return sum(self.sizes)

    def __getitem__(self, pair: tuple[int, int]) -> Samples:
        return self.__getitems__([pair])

    def __getitems__(self, pairs: list[tuple[int, int]]) -> Samples:
        """Gather rows, each from its text; index_B and epoch_B are those asked for."""
        pair_B2 = np.asarray(pairs, dtype=np.int64)
        starts = np.cumsum([0, *self.sizes])
        part_B = np.searchsorted(starts, pair_B2[:, 0], side="right") - 1
        place_B = pair_B2[:, 0] - starts[part_B]
        found = []
        for number in np.unique(part_B):
            rows = np.flatnonzero(part_B == number)
            wanted = [
                (self.window(int(number), int(place_B[row]), int(pair_B2[row, 1])), 0)
                for row in rows
            ]
            found.append((torch.from_numpy(rows), self.parts[number].__getitems__(wanted)))
        order_B = torch.cat([rows for rows, _ in found]).argsort()
        documents = [s.document_BU for _, s in found if s.document_BU is not None]
        return Samples(
            tokens_BU=torch.cat([s.tokens_BU for _, s in found])[order_B],
            document_BU=torch.cat(documents)[order_B] if documents else None,
            index_B=torch.from_numpy(pair_B2[:, 0].copy()),
            epoch_B=torch.from_numpy(pair_B2[:, 1].copy()),
        )

    def window(self, part: int, place: int, epoch: int) -> int:
        """The window at a place of a text."""
        return place


class MixedRows(JoinedRows):
    """Rows of which each text gives so many an epoch, however many it has.

    Draw number d of a text is permutation d // windows of its windows, at d % windows: it goes
    through all of them, in another order each time, before any comes again, and goes on in the
    next epoch where it was. A pure function of (seed, epoch, row), as one text's order is.
    """

    def __init__(self, parts: Sequence[PackedWindows], sizes: Sequence[int], seed: int) -> None:
        super().__init__(parts)
        self.sizes, self.seed = list(sizes), seed
        self._drawn: dict[tuple[int, int], np.ndarray] = {}

    def window(self, part: int, place: int, epoch: int) -> int:
        """The window that fills a place of a text in an epoch."""
        if (part, epoch) not in self._drawn:
            recent = (epoch - 1, epoch)  # a batch may reach over the end of one
            kept = {key: drawn for key, drawn in self._drawn.items() if key[1] in recent}
            self._drawn = kept | {(part, epoch): self._draw(part, epoch)}
        return int(self._drawn[part, epoch][place])

    def _draw(self, part: int, epoch: int) -> np.ndarray:
        """The windows that a text gives in an epoch."""
        windows, count = len(self.parts[part]), self.sizes[part]
        first = epoch * count
        rounds = range(first // windows, (first + count - 1) // windows + 1)
        order = np.concatenate([self._order(part, number) for number in rounds])
        return order[first - rounds[0] * windows :][:count]

    def _order(self, part: int, number: int) -> np.ndarray:
        key = np.random.SeedSequence(self.seed, spawn_key=(part, number))
        return np.random.Generator(np.random.PCG64(key)).permutation(len(self.parts[part]))
