"""The held-out numbers of a regression, from all rows at once.

Shapes: N rows, C numbers of a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from loomlab.errors import InputError
from loomlab.measure.scores import Scores


class NumberScores(Scores):
    """Running sums of rows and errors, and all pairs of said and true: ranks need every one.

    What is added is standardized; deviation (C,) is the unit in which errors are reported.
    """

    def __init__(self, deviation: Sequence[float]) -> None:
        self.deviation = np.asarray(deviation, dtype=np.float64)
        width = len(self.deviation)
        self.sums = torch.zeros(1 + 2 * width, dtype=torch.float64)  # rows, squares, magnitudes
        self.pairs: list[Tensor] = []  # (N, 2, C): said, true

    def add(self, logits_NC: Tensor, targets_NC: Tensor) -> None:
        """Score predictions.

        Args:
            logits_NC: standardized numbers of any float type.
            targets_NC: the true ones.
        """
        pairs = torch.stack([logits_NC.detach(), targets_NC.detach()], 1).double()
        self.pairs.append(pairs)
        off_NC = pairs[:, 0] - pairs[:, 1]
        rows = torch.full((1,), len(pairs), dtype=torch.float64, device=pairs.device)
        added = torch.cat([rows, off_NC.square().sum(0), off_NC.abs().sum(0)])
        self.sums = self.sums.to(added.device) + added

    def include(self, other: Scores) -> None:
        """Add what another has scored."""
        super().include(other)
        assert isinstance(other, NumberScores)
        self.pairs += other.pairs

    def reduce(self) -> NumberScores:
        """Sum over all processes, and gather their pairs, in place. Returns itself."""
        super().reduce()
        if dist.is_available() and dist.is_initialized():
            own = self._pairs().cpu().numpy()
            found: list[np.ndarray] = [own] * dist.get_world_size()
            dist.all_gather_object(found, own)
            self.pairs = [torch.from_numpy(part) for part in found]
        return self

    def _pairs(self) -> Tensor:
        none = torch.zeros(0, 2, len(self.deviation), dtype=torch.float64)
        return torch.cat(self.pairs) if self.pairs else none

    def result(self) -> dict[str, float]:
        """The scores as plain numbers.

        Returns:
            loss (mean squared error of standardized numbers), rmse and mae (root of the mean
            squared error and mean absolute error, in the unit of the labels), pearson, spearman
            (correlations of numbers and of their ranks, ties at their mean rank; 0 where either
            side has one value only), r2 (1 - squared error / spread of the true numbers; of one
            value only 1 if all are right, else 0). With several numbers a row, the mean over them.

        Raises:
            InputError: nothing was scored.
        """
        sums = self.sums.cpu().numpy()
        rows, width = sums[0], len(self.deviation)
        if rows == 0:
            raise InputError(
                "corpus: no held-out row was scored, so there is no error to report; hold out "
                "more rows, with a smaller corpus.validation_every for example"
            )
        square_C, magnitude_C = sums[1 : 1 + width] / rows, sums[1 + width :] / rows
        said_NC, true_NC = self._pairs().cpu().numpy().transpose(1, 0, 2)
        columns = list(zip(said_NC.T, true_NC.T, strict=True))
        return {
            "loss": float(square_C.mean()),
            "rmse": float((np.sqrt(square_C) * self.deviation).mean()),
            "mae": float((magnitude_C * self.deviation).mean()),
            "pearson": _mean(_correlation(said_N, true_N) for said_N, true_N in columns),
            "spearman": _mean(_correlation(_ranks(s), _ranks(t)) for s, t in columns),
            "r2": _mean(
                _explained(square, true_N)
                for square, (_, true_N) in zip(square_C, columns, strict=True)
            ),
        }


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _correlation(one_N: np.ndarray, other_N: np.ndarray) -> float:
    """Correlation of Pearson, -1 to 1."""
    one_N, other_N = one_N - one_N.mean(), other_N - other_N.mean()
    spread = np.sqrt((one_N**2).sum() * (other_N**2).sum())
    return float(np.clip((one_N * other_N).sum() / spread, -1, 1)) if spread > 0 else 0.0


def _ranks(values_N: np.ndarray) -> np.ndarray:
    """The rank of each, from 1; those that are equal share the mean of theirs."""
    _, place_N, count = np.unique(values_N, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: np.ndarray = (last - (count - 1) / 2)[place_N]
    return ranks


def _explained(square: float, true_N: np.ndarray) -> float:
    """The coefficient of determination."""
    spread = float(true_N.var())
    return 1 - square / spread if spread > 0 else float(square == 0)
