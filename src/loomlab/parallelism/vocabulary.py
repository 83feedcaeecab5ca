"""The rows of the largest matrix, the one of the vocabulary, shared out to processes.

Shoeybi et al. 2019, "Megatron-LM", arXiv 1909.08053, section 3: each process holds the embeddings
of some tokens, computes the logits of these, and the loss is put together from three numbers per
position. The logits of all tokens are never in one place.
"""

# Shapes: M positions, V tokens of the whole vocabulary, v those of this process.

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from loomlab.measure.scores import Scores
from loomlab.parallelism.split import ByOutputs, sum_of_parts


class SomeTokens(nn.Embedding):
    """The embeddings of the tokens of this process; the others come from the others."""

    first: int
    group: Any

    @classmethod
    def turn(cls, table: nn.Embedding, weight: nn.Parameter, first: int, group: Any) -> None:
        """Make an existing table one of these; it is an nn.Embedding still for optimizers."""
        table.__class__ = cls
        table.weight, table.first, table.group = weight, first, group  # type: ignore[assignment]

    def forward(self, input: Tensor) -> Tensor:
        """The embeddings (..., D) of tokens (...), the same in all processes."""
        place = input - self.first
        here = (place >= 0) & (place < len(self.weight))
        found = F.embedding(place.clamp(0, len(self.weight) - 1), self.weight)
        return sum_of_parts(found * here[..., None], self.group)


class Vocabulary:
    """The loss and the scores of logits of which each process has some columns."""

    def __init__(self, first: int, group: Any) -> None:
        self.first, self.group = first, group

    def judged(self, logits_Mv: Tensor, targets_M: Tensor, scores: Scores | None) -> Tensor:
        """The mean cross entropy in nats, computed in 32-bit floats; adds to `scores`, if any."""
        loss: Tensor
        if scores is None:
            loss, _, _ = _SharedCrossEntropy.apply(logits_Mv, targets_M, self)
            return loss
        loss, nll, top_M = _SharedCrossEntropy.apply(logits_Mv, targets_M, self)
        hits = (self._best(logits_Mv.detach(), top_M) == targets_M).sum()
        scores.add_sums(nll, torch.tensor(len(targets_M)), hits, scores.bytes_of(targets_M))
        return loss

    def _best(self, logits_Mv: Tensor, top_M: Tensor) -> Tensor:
        """The token of the largest logit; of equal ones the first."""
        value_M, place_M = logits_Mv.float().max(1)
        token_M = torch.where(value_M == top_M, place_M + self.first, torch.iinfo(torch.int64).max)
        dist.all_reduce(token_M, dist.ReduceOp.MIN, group=self.group)
        return token_M


class _SharedCrossEntropy(torch.autograd.Function):
    """Mean of -log softmax(logits)[target]; also its sum, and the largest logits (M)."""

    @staticmethod
    def forward(ctx: Any, logits_Mv: Tensor, targets_M: Tensor, part: Vocabulary) -> Any:
        logits = logits_Mv.float()
        top_M = logits.max(1).values
        dist.all_reduce(top_M, dist.ReduceOp.MAX, group=part.group)
        place_M = targets_M - part.first
        here_M = (place_M >= 0) & (place_M < logits.shape[1])
        place_M = place_M.clamp(0, logits.shape[1] - 1)
        shifted = logits - top_M[:, None]
        chosen_M = torch.where(here_M, shifted.gather(1, place_M[:, None])[:, 0], 0.0)
        exponents = shifted.exp_()
        sums_2M = torch.stack([exponents.sum(1), chosen_M])
        dist.all_reduce(sums_2M, group=part.group)
        nll_M = sums_2M[0].log() - sums_2M[1]
        ctx.save_for_backward(exponents.div_(sums_2M[0][:, None]), place_M, here_M)
        ctx.dtype = logits_Mv.dtype
        total = nll_M.double().sum()
        ctx.mark_non_differentiable(total, top_M)
        return nll_M.mean(), total, top_M

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        softmax_Mv, place_M, here_M = ctx.saved_tensors
        gradient = softmax_Mv  # nobody else reads it; a second backward is refused
        gradient.scatter_add_(1, place_M[:, None], -here_M[:, None].float())
        gradient *= outer[0] / len(place_M)
        return gradient.to(ctx.dtype), None, None


def share_vocabulary(model: Any, group: Any = None) -> None:
    """Keep the rows of the head for this process's tokens, and those of a tied embedding."""
    head, table = model.get_output_embeddings(), model.get_input_embeddings()
    made = ByOutputs(head, group=group)
    first = made.cut.first(head.weight)
    if table.weight is head.weight:
        SomeTokens.turn(table, made.weight, first, group)
    path = next(name for name, module in model.named_modules() if module is head)
    model.set_submodule(path, made)
    model.vocabulary = Vocabulary(first, group)
