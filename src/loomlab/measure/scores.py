"""The held-out numbers, computed in one place for training and evaluation alike.

Shapes: N predicted positions, V vocabulary.
"""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
import torch.nn.functional as F

from loomlab.errors import InputError

IGNORED = -100


class Scores:
    """Running sums of negative log-likelihood, predicted tokens, correct guesses and bytes.

    bytes_V: UTF-8 bytes of text that each token stands for, float64; None: one each. The sums stay
    on the device in float64 (counts are exact up to 2**53) and are read once, by `result`: adding
    a batch never waits for the device.
    """

    def __init__(self, bytes_V: torch.Tensor | None = None) -> None:
        self.bytes_V = bytes_V
        self.sums = torch.zeros(4, dtype=torch.float64)  # nll in nats, tokens, correct, bytes

    def add(self, logits_NV: torch.Tensor, targets_N: torch.Tensor) -> None:
        """Score predictions; targets of -100 do not count.

        Args:
            logits_NV: of any float type; the cross entropy is computed in float32.
            targets_N: token ids (int64).
        """
        logits_NV, targets_N = logits_NV.detach(), targets_N.detach()
        nll_N = F.cross_entropy(
            logits_NV.float(), targets_N, ignore_index=IGNORED, reduction="none"
        )
        hit_N = logits_NV.argmax(dim=-1) == targets_N  # no argmax is -100
        count = (targets_N != IGNORED).sum()
        self.add_sums(nll_N.double().sum(), count, hit_N.sum(), self.bytes_of(targets_N))

    def bytes_of(self, targets_N: torch.Tensor) -> torch.Tensor:
        """Bytes of text that tokens stand for together; those of -100 do not count."""
        counted_N = targets_N != IGNORED
        if self.bytes_V is None:
            return counted_N.sum()
        self.bytes_V = self.bytes_V.to(targets_N.device)
        return (self.bytes_V[targets_N.clamp(min=0)] * counted_N).sum()

    def add_sums(
        self,
        nll: torch.Tensor | float,
        count: torch.Tensor | float,
        correct: torch.Tensor | float,
        size: torch.Tensor | float,
    ) -> None:
        """Add sums computed elsewhere: nats, predicted tokens, tokens guessed right, bytes."""
        device = nll.device if isinstance(nll, torch.Tensor) else self.sums.device
        parts = [torch.as_tensor(x, dtype=torch.float64) for x in (nll, count, correct, size)]
        added = torch.stack([p.detach().to(device) for p in parts])
        self.sums = self.sums.to(device) + added

    def include(self, other: Scores) -> None:
        """Add what another has scored."""
        self.sums = self.sums.to(other.sums.device) + other.sums

    def reduce(self) -> Scores:
        """Sum over all processes, in place; once, at the end. Returns itself."""
        if dist.is_available() and dist.is_initialized():
            if dist.get_backend() == "nccl":  # a process without a batch still has CPU sums
                self.sums = self.sums.cuda()
            dist.all_reduce(self.sums)
        return self

    def result(self) -> dict[str, float]:
        """The scores as plain numbers.

        Returns:
            loss (nats per token), perplexity (inf where it overflows), bits_per_byte (bits of all
            that was predicted / bytes that its tokens stand for; inf without any), accuracy
            (0 to 1).

        Raises:
            InputError: nothing was scored.
        """
        nll, count, correct, size = self.sums.tolist()
        if count == 0:
            raise InputError(
                "corpus: no held-out token was scored, so there is no loss to report; the "
                "validation text must hold at least one full window of sequence_length tokens"
            )
        loss = nll / count
        return {
            "loss": loss,
            "perplexity": _perplexity(loss),
            "bits_per_byte": nll / math.log(2) / size if size else math.inf,
            "accuracy": correct / count,
        }


def _perplexity(loss: float) -> float:
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
