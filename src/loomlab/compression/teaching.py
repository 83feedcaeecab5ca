"""The loss of a training step with a teacher beside the data."""

# Shapes: M scored positions, D width of the teacher, V classes.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from loomlab.compression.soft_targets import divergence, label_divergence
from loomlab.compression.teacher import Teacher
from loomlab.objective.base import Batch, Objective


class Extra(Protocol):
    """What inner states have to say."""

    def listen(self) -> None:
        """Before both read a batch."""

    def __call__(self, batch: Batch) -> Tensor:
        """What is added to the loss, once both have read it."""


class Answers(Protocol):
    """What a teacher says to a batch, read as the student's rows come: in order, in chunks."""

    def distance(self, student_MV: Tensor) -> Tensor:
        """The mean distance of the student's next rows from the teacher's."""


@dataclass
class Live:
    """A teacher's hidden rows, which its head turns into logits when their turn comes."""

    rows_MD: Tensor
    head: Callable[[Tensor], Tensor]
    measure: Callable[[Tensor, Tensor, float], Tensor]
    temperature: float
    read: int = 0

    def distance(self, student_MV: Tensor) -> Tensor:
        """The mean distance of the student's next rows."""
        part = slice(self.read, self.read + len(student_MV))
        self.read = part.stop
        with torch.no_grad(), exact(student_MV.device):
            teacher_MV = self.head(self.rows_MD[part])[:, : student_MV.shape[-1]]
        return self.measure(student_MV, teacher_MV, self.temperature)


class Source:
    """Asks the teacher itself, for each batch anew."""

    def __init__(self, teacher: Teacher, objective: Objective, temperature: float) -> None:
        self.teacher, self.objective, self.temperature = teacher, objective, temperature
        several = getattr(objective, "multi_label", False)
        self.measure = label_divergence if several else divergence
        self.asked = 0  # samples

    def answers(self, batch: Batch) -> Answers:
        """What it says to a batch."""
        return self.ask(batch)

    @torch.no_grad()
    def ask(self, batch: Batch) -> Live:
        """Run the teacher, in 32-bit floats and without its dropout."""
        place = batch["input_ids"].device
        view = self.objective.around(self.teacher.model.to(place).eval())
        self.asked += len(batch["input_ids"])
        with exact(place):
            if type(view).predict is not Objective.predict:  # it has its own way to logits
                return Live(view.predict(batch)[0], _as_it_is, self.measure, self.temperature)
            rows_MD, _ = view.select(batch)
        return Live(rows_MD, view._to_logits, self.measure, self.temperature)

    def report(self) -> dict[str, float]:
        """Samples that the teacher has read."""
        return {"teacher_samples": self.asked}


class Guide:
    """(1 - alpha) * the loss on the data + alpha * the distance from the teacher + the extra.

    Logits of both are computed chunk by chunk if those of the student are, never all at once.
    """

    def __init__(self, source: Source, alpha: float, extra: Extra | None = None) -> None:
        self.source, self.alpha, self.extra = source, alpha, extra

    def __call__(self, objective: Objective, batch: Batch) -> Tensor:
        """The loss of a micro-batch."""
        if self.extra is not None:
            self.extra.listen()
        answers, classes = self.source.answers(batch), classes_of(objective)

        def criterion(logits_MV: Tensor, targets_M: Tensor) -> Tensor:
            told = objective.criterion(logits_MV, targets_M)
            taught = answers.distance(logits_MV[:, :classes])
            return (1 - self.alpha) * told + self.alpha * taught

        loss = objective.judged(batch, objective.training_scores, criterion)
        return loss if self.extra is None else loss + self.extra(batch)


def classes_of(objective: Objective) -> int:
    """Tokens or labels; what a model has beyond them is padding of its head."""
    labels = objective.label_set
    reads_labels = objective.kind == "labels" and labels is not None
    return len(labels.names) if reads_labels and labels else len(objective.tokenizer)


def exact(device: torch.device) -> torch.autocast:
    """No autocast: what is said does not depend on the precision of the student."""
    return torch.autocast(device.type, enabled=False)


def _as_it_is(rows: Tensor) -> Tensor:
    return rows
