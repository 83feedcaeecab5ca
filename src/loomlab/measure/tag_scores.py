"""The held-out numbers of a tagger: of words, and of entities where labels say where these begin.

Shapes: N words of all rows in their order, C labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from loomlab.measure.class_scores import ClassScores

OUTSIDE = "O"
BEGIN, INSIDE = "B-", "I-"


def are_entities(names: Sequence[str]) -> bool:
    """Whether labels are O, B-TYPE and I-TYPE, some of each entity's."""
    of_entities = [name for name in names if name != OUTSIDE]
    return bool(of_entities) and all(
        name.startswith((BEGIN, INSIDE)) and len(name) > len(BEGIN) for name in of_entities
    )


class Entities:
    """Finds entities in rows of labels, as conlleval and seqeval do, many rows at once.

    An entity begins at B-TYPE, or at I-TYPE where no entity of the type goes on, and reaches to
    the last I-TYPE that follows. strict: only those that begin with B-TYPE count (IOB2).
    """

    def __init__(self, names: Sequence[str], strict: bool) -> None:
        self.strict = strict
        types = sorted({name[len(BEGIN) :] for name in names if name != OUTSIDE})
        kinds = [types.index(name[len(BEGIN) :]) if name != OUTSIDE else -1 for name in names]
        self.kind_C = torch.tensor(kinds)  # -1 outside
        self.begins_C = torch.tensor([name.startswith(BEGIN) for name in names])

    def found(self, tags_N: Tensor, rows_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of each word: whether an entity begins there, where it ends, and of which type.

        tags_N: numbers of labels; rows_N: the row each word is of. The last two hold where an
        entity begins.
        """
        kind_N = self.kind_C.to(tags_N.device)[tags_N]
        marked_N = self.begins_C.to(tags_N.device)[tags_N]
        same_N = torch.zeros_like(marked_N)  # as the word before: row and type
        same_N[1:] = (rows_N[1:] == rows_N[:-1]) & (kind_N[1:] == kind_N[:-1])
        inside_N = kind_N >= 0
        goes_on_N = inside_N & same_N & ~marked_N
        begins_N = inside_N & ~goes_on_N
        last_N = inside_N.clone()
        last_N[:-1] &= ~goes_on_N[1:]
        place_N = torch.arange(len(tags_N), device=tags_N.device)
        end_N = torch.where(last_N, place_N, len(tags_N)).flip(0).cummin(0).values.flip(0)
        return begins_N & (marked_N if self.strict else inside_N), end_N, kind_N

    def count(self, truth_N: Tensor, guess_N: Tensor, rows_N: Tensor) -> Tensor:
        """Entities that are there, that are said, and that are both, (3,) float64."""
        there_N, end_N, kind_N = self.found(truth_N, rows_N)
        said_N, said_end_N, said_kind_N = self.found(guess_N, rows_N)
        hit_N = there_N & said_N & (end_N == said_end_N) & (kind_N == said_kind_N)
        return torch.stack([part.sum() for part in (there_N, said_N, hit_N)]).double()


class TagScores(ClassScores):
    """Running sums of loss, words, words that are right, who was taken for whom, and entities."""

    def __init__(self, names: Sequence[str], strict: bool = False) -> None:
        super().__init__(len(names))
        self.entities = Entities(names, strict) if are_entities(names) else None
        self.sums = torch.cat([self.sums, self.sums.new_zeros(3)])  # there, said, both

    def add(self, logits_NC: Tensor, targets: Tensor, rows_N: Tensor | None = None) -> None:
        """Score predictions.

        Args:
            logits_NC: of any float type; the loss is computed in float32.
            targets: label numbers (N,) of words in their order.
            rows_N: the row each word is of; all are of one without it.
        """
        there = self.sums[-3:]
        self.sums = self.sums[:-3]
        super().add(logits_NC, targets)
        there = there.to(self.sums.device)
        if self.entities is not None and len(targets):
            rows_N = torch.zeros_like(targets) if rows_N is None else rows_N
            there = there + self.entities.count(targets, logits_NC.argmax(-1), rows_N)
        self.sums = torch.cat([self.sums, there])

    def result(self) -> dict[str, float]:
        """The scores as plain numbers.

        Returns:
            loss (nats per word), accuracy (words that are right), matthews (of words), and f1,
            precision and recall: of entities, all types together, an entity being right if its
            words and its type are; where labels do not mark entities, the mean over labels, those
            that are neither there nor said left out (0 where there is nothing to divide by).

        Raises:
            InputError: nothing was scored.
        """
        there, said, both = self.sums[-3:].tolist()
        words = ClassScores(self.labels)
        words.sums = self.sums[:-3]
        numbers = words.result()
        del numbers["f1_micro"]  # of one label a word it is the accuracy
        if self.entities is not None:
            precision, recall = both / max(1.0, said), both / max(1.0, there)
            f1 = 2 * both / max(1.0, there + said)
            return {**numbers, "f1": f1, "precision": precision, "recall": recall}
        confusion_CC = words.sums[3:].cpu().view(self.labels, self.labels)
        there_C, said_C, both_C = confusion_CC.sum(1), confusion_CC.sum(0), confusion_CC.diagonal()
        seen_C = there_C + said_C > 0
        precision_C, recall_C = both_C / said_C.clamp(min=1), both_C / there_C.clamp(min=1)
        return {
            **numbers,
            "precision": float(precision_C[seen_C].mean()),
            "recall": float(recall_C[seen_C].mean()),
        }
