"""How far the inner states of a student are from those of its teacher."""

# Shapes: B rows, T positions, D width, H heads, K head width.

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlab.compression.inner_states import Attended, InnerStates

Widen = Callable[[Tensor], Tensor]  # from the width of the student to that of the teacher


def distilbert(
    student: InnerStates, teacher: InnerStates, pairs: list[int], keep_BT: Tensor, widen: Widen
) -> Tensor:
    """1 - cosine of the last hidden states (Sanh et al. 2019, arXiv 1910.01108, section 3)."""
    ours, theirs = student.hidden[student.depth - 1], teacher.hidden[pairs[-1]]
    return 1 - F.cosine_similarity(widen(ours)[keep_BT], theirs[keep_BT], dim=-1).mean()


def tinybert(
    student: InnerStates, teacher: InnerStates, pairs: list[int], keep_BT: Tensor, widen: Widen
) -> Tensor:
    """Squared differences of embeddings, hidden states and attention scores of paired layers.

    Jiao et al. 2020, arXiv 1909.10351, equations 7 to 9: means over values, summed over layers.
    Scores are those before the softmax, where a query sees a key.
    """
    total = torch.zeros((), device=keep_BT.device)
    for ours, theirs in [(-1, -1), *enumerate(pairs)]:
        hidden = widen(student.hidden[ours])[keep_BT], teacher.hidden[theirs][keep_BT]
        total = total + F.mse_loss(hidden[0].float(), hidden[1].float())
    for ours, theirs in enumerate(pairs):
        scores_BHTT, mask = student.attended[ours].scores()
        taught_BHTT, _ = teacher.attended[theirs].scores()
        seen_BHTT = torch.isfinite(mask).expand_as(scores_BHTT) & keep_BT[:, None, :, None]
        total = total + F.mse_loss(scores_BHTT[seen_BHTT], taught_BHTT[seen_BHTT])
    return total


def minilm(
    student: InnerStates, teacher: InnerStates, pairs: list[int], keep_BT: Tensor, widen: Widen
) -> Tensor:
    """KL divergence of attention and of relations of values, in the last layer.

    Wang et al. 2020, arXiv 2002.10957, equations 6 to 9: means over heads and queries.
    """
    ours, theirs = student.attended[student.depth - 1], teacher.attended[pairs[-1]]
    keep_BHT = keep_BT[:, None].expand(ours.q_BHTK.shape[:-1])
    relations = ((attention(a), value_relation(a)) for a in (ours, theirs))
    return sum(
        (
            F.kl_div(log_q[keep_BHT], log_p[keep_BHT], reduction="batchmean", log_target=True)
            for log_q, log_p in zip(*relations, strict=True)
        ),
        start=torch.zeros((), device=keep_BT.device),
    )


def attention(attended: Attended) -> Tensor:
    """Log-probabilities (B, H, T, T) of each query's keys."""
    scores_BHTT, mask = attended.scores()
    return _log_softmax(scores_BHTT, mask)


def value_relation(attended: Attended) -> Tensor:
    """Log-probabilities (B, H, T, T) of values by their products, among those that are seen."""
    v_BHTK = attended.v_BHTK
    return _log_softmax((v_BHTK @ v_BHTK.mT * v_BHTK.shape[-1] ** -0.5).float(), attended.mask())


def _log_softmax(scores_BHTT: Tensor, mask: Tensor) -> Tensor:
    # What nobody sees has the same finite value in both, so that it adds nothing to a divergence.
    return (scores_BHTT + mask).log_softmax(-1).clamp(min=-1e4)


LOSSES = {"distilbert": distilbert, "tinybert": tinybert, "minilm": minilm}


class Inner:
    """One of `LOSSES` between a student and its teacher, as an addition to the loss of a step."""

    def __init__(
        self, student: nn.Module, teacher: nn.Module, kind: str, weight: float, pairs: list[int]
    ) -> None:
        """`pairs` are layers of the teacher, one for each of the student.

        Raises:
            InputError: one of them lacks what is compared.
        """
        self.loss, self.weight, self.pairs = LOSSES[kind], weight, pairs
        listens = kind != "distilbert"
        self.student = InnerStates(student, "student", listens)
        self.teacher = InnerStates(teacher, "teacher", listens)
        self.widen: Widen = getattr(student, WIDEN, nn.Identity())
        self.last = torch.zeros(())

    def listen(self) -> None:
        """Before both read a batch."""
        self.student.listen()
        self.teacher.listen()

    def __call__(self, batch: dict[str, Tensor]) -> Tensor:
        """The weighted loss, once both have read the batch."""
        keep_BT = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).bool()
        loss = self.loss(self.student, self.teacher, self.pairs, keep_BT, self.widen)
        self.last = loss.detach()
        self.student.forget()
        self.teacher.forget()
        return self.weight * loss

    def leave(self) -> None:
        """Take all hooks off."""
        self.student.leave()
        self.teacher.leave()


WIDEN = "distill_widen"  # the student's module that leads to the width of the teacher
