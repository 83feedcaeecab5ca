"""The held-out numbers of a classifier, from counts over all rows at once.

Shapes: N rows, C labels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from loomlab.errors import InputError
from loomlab.measure.scores import Scores


class ClassScores(Scores):
    """Running sums of loss, rows, rows that are right as a whole, and of who was taken for whom.

    One label a row: a confusion matrix (C, C), rows the truth. Several (`multi_label`): per label
    a matrix (2, 2) of absent and present; predicted is what has a probability of half or more.
    """

    def __init__(self, labels: int, multi_label: bool = False) -> None:
        self.labels, self.multi_label = labels, multi_label
        cells = 4 * labels if multi_label else labels * labels
        self.sums = torch.zeros(3 + cells, dtype=torch.float64)  # nats, rows, right, cells

    def add(self, logits_NC: Tensor, targets: Tensor) -> None:
        """Score predictions.

        Args:
            logits_NC: of any float type; the loss is computed in float32.
            targets: label numbers (N,), or zeros and ones (N, C).
        """
        logits_NC = logits_NC.detach().float()
        if self.multi_label:
            loss_N, right_N, cell = self._several(logits_NC, targets)
        else:
            loss_N = F.cross_entropy(logits_NC, targets, reduction="none")
            guess_N = logits_NC.argmax(-1)
            right_N, cell = guess_N == targets, targets * self.labels + guess_N
        cells = torch.bincount(cell, minlength=len(self.sums) - 3)
        rows = torch.tensor(len(loss_N), device=cells.device)
        sums = [loss_N.double().sum(), rows.double(), right_N.sum().double()]
        self.sums = self.sums.to(cells.device) + torch.cat([torch.stack(sums), cells.double()])

    def _several(self, logits_NC: Tensor, targets_NC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loss_NC = F.binary_cross_entropy_with_logits(
            logits_NC, targets_NC.float(), reduction="none"
        )
        guess_NC, truth_NC = logits_NC >= 0, targets_NC > 0.5
        label_C = torch.arange(self.labels, device=logits_NC.device)
        cell_NC = label_C * 4 + truth_NC.long() * 2 + guess_NC.long()
        return loss_NC.mean(-1), (guess_NC == truth_NC).all(-1), cell_NC.flatten()

    def result(self) -> dict[str, float]:
        """The scores as plain numbers.

        Returns:
            loss (nats per row; with several labels per row and label), accuracy (rows that are
            right as a whole), f1 (macro, the mean over labels; one that is neither there nor
            predicted is left out, and counts 0 with several labels a row), f1_micro (of all labels
            together; with one label a row it is the accuracy), matthews (the correlation
            coefficient of Matthews 1975, for more than two labels as in Gorodkin 2004; with
            several labels a row, the mean over labels).

        Raises:
            InputError: nothing was scored.
        """
        loss, rows, right = self.sums[:3].tolist()
        if rows == 0:
            raise InputError(
                "corpus: no held-out row was scored, so there is no accuracy to report; hold out "
                "more rows, with a smaller corpus.validation_every for example"
            )
        cells = self.sums[3:].cpu()
        if self.multi_label:
            each = cells.view(self.labels, 2, 2)
            f1 = torch.stack([_f1(confusion)[1] for confusion in each]).mean()
            matthews = torch.stack([_matthews(confusion) for confusion in each]).mean()
            micro = float(_f1(each.sum(0))[1])
        else:
            confusion = cells.view(self.labels, self.labels)
            seen = (confusion.sum(0) + confusion.sum(1)) > 0
            f1, matthews = _f1(confusion)[seen].mean(), _matthews(confusion)
            micro = right / rows
        return {
            "loss": loss / rows,
            "accuracy": right / rows,
            "f1": float(f1),
            "f1_micro": micro,
            "matthews": float(matthews),
        }


def _f1(confusion_CC: Tensor) -> Tensor:
    """F1 of each label, (C,): 2 hits / (predicted + there); 0 where there is neither."""
    both_C = confusion_CC.sum(0) + confusion_CC.sum(1)
    return 2 * confusion_CC.diagonal() / both_C.clamp(min=1)


def _matthews(confusion_CC: Tensor) -> Tensor:
    """Correlation of truth and prediction, -1 to 1; 0 where either has one value only."""
    truth_C, guess_C, rows = confusion_CC.sum(1), confusion_CC.sum(0), confusion_CC.sum()
    covariance = confusion_CC.diagonal().sum() * rows - (truth_C * guess_C).sum()
    spread = (rows**2 - truth_C.square().sum()) * (rows**2 - guess_C.square().sum())
    return covariance / spread.sqrt() if spread > 0 else torch.zeros(())
