"""The order of training samples: a pure function of (seed, epoch), resumable at any sample."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from loomlab.errors import InputError


def permutation(seed: int, epoch: int, samples: int) -> np.ndarray:
    """Order of the `samples` windows in one epoch, (samples,) int64.

    Depends on its arguments alone: not on workers, ranks, batch size or any global random state.
    """
    key = np.random.SeedSequence([seed, epoch])
    return np.random.Generator(np.random.PCG64(key)).permutation(samples)


def require_batches(samples: int, held_out: int, batch_size: int, processes: int) -> None:
    """Refuse texts that do not fill a batch of `batch_size` samples for each process.

    Raises:
        InputError: naming what is too large.
    """
    batch = batch_size * processes
    if samples < batch:
        raise InputError(
            f"{samples} training sequences are fewer than the {batch} of one batch: lower the "
            "batch size or sequence_length, raise corpus.max_samples, or use more text"
        )
    if held_out < processes:
        raise InputError(
            f"{held_out} validation sequences are fewer than the {processes} processes: use "
            "fewer, or a shorter sequence_length"
        )


class SampleStream(Sampler[list[tuple[int, int]]]):
    """Endless batches of (window, epoch) pairs, one permutation after the other.

    Sample number n of the stream is permutation(seed, n // samples)[n % samples]. Global batch:
    the next batch_size * world_size samples, of which a rank takes its contiguous slice; a batch
    may reach over the end of an epoch, so nothing is dropped. `start()` is asked at each new
    iteration for the number of global samples already consumed.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        seed: int,
        start: Callable[[], int],
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.samples, self.seed, self.start = samples, seed, start
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        position = self.start() + self.rank * self.batch_size
        while True:
            yield [self._sample(n) for n in range(position, position + self.batch_size)]
            position += self.batch_size * self.world_size

    def _sample(self, number: int) -> tuple[int, int]:
        epoch, offset = divmod(number, self.samples)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, permutation(self.seed, epoch, self.samples)
        return int(self._order[offset]), epoch


class SequentialBatches(Sampler[list[tuple[int, int]]]):
    """Every window once, in order, split over ranks: the validation pass.

    Each rank gets the same number of batches (else a sharded model would wait for ever), of
    nearly equal size, at most batch_size, or one more where batch_size 1 leaves no other way.
    """

    def __init__(self, samples: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        own = np.arange(rank, samples, world_size)
        largest = -(-samples // world_size)
        batches = min(-(-largest // batch_size), samples // world_size)
        self.batches = [part.tolist() for part in np.array_split(own, batches)]

    def thin(self, count: int | None) -> None:
        """Keep only so many batches, evenly spread, the first among them; None keeps all."""
        if count is not None and count < len(self.batches):
            self._keep(np.arange(count) * len(self.batches) // count)

    def _keep(self, numbers: np.ndarray) -> None:
        self.batches = [self.batches[n] for n in numbers]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in self.batches:
            yield [(index, 0) for index in batch]

    def __len__(self) -> int:
        return len(self.batches)


class BatchesOfParts(SequentialBatches):
    """The batches of several texts, evenly mixed; no batch holds windows of two.

    sizes: windows of each text, whose numbers follow each other. `parts` says of which text each
    batch is. The first so many batches, and those that `thin` keeps, are of all texts, by size.
    """

    def __init__(
        self, sizes: Sequence[int], batch_size: int, rank: int = 0, world_size: int = 1
    ) -> None:
        placed = []
        for part, size in enumerate(sizes):
            own = SequentialBatches(size, batch_size, rank, world_size).batches
            start = sum(sizes[:part])
            placed += [
                ((number + 0.5) / len(own), part, [start + window for window in batch])
                for number, batch in enumerate(own)
            ]
        placed.sort()
        self.batches = [batch for _, _, batch in placed]
        self.parts = [part for _, part, _ in placed]

    def _keep(self, numbers: np.ndarray) -> None:
        super()._keep(numbers)
        self.parts = [self.parts[n] for n in numbers]
