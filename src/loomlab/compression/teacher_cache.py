"""What a teacher has said, kept on disk, for all students that read the same batches."""

# Shapes: M scored positions, V classes, K classes that are kept.

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from loomlab.compression.soft_targets import divergence_from_largest, largest
from loomlab.compression.teacher import Teacher
from loomlab.compression.teaching import Answers, Live, Source, classes_of, exact
from loomlab.objective.base import Batch, Objective

log = logging.getLogger("loomlab.compression")
ROWS_AT_ONCE = 512  # logits of so many positions are there at a time


@dataclass
class Kept:
    """The likeliest classes of a teacher's answers, read as the student's rows come."""

    ids_MK: Tensor
    log_p_MK: Tensor  # and one more column: of all the rest
    temperature: float
    read: int = 0

    def distance(self, student_MV: Tensor) -> Tensor:
        """The mean distance of the student's next rows."""
        part = slice(self.read, self.read + len(student_MV))
        self.read = part.stop
        ids_MK, log_p_MK = (x[part].to(student_MV.device) for x in (self.ids_MK, self.log_p_MK))
        return divergence_from_largest(student_MV, ids_MK, log_p_MK, self.temperature)


class CachedSource(Source):
    """Asks the teacher once for each batch, of this run and of all that share the folder.

    What is kept depends on the teacher's weights, the temperature, the number of classes and the
    batch, to the byte. A run is the same whether it finds an answer or has to ask for it.
    """

    def __init__(
        self, teacher: Teacher, objective: Objective, temperature: float, folder: Path, count: int
    ) -> None:
        """`count` classes of each answer are kept below `folder`."""
        super().__init__(teacher, objective, temperature)
        self.count, self.found, self.writes = count, 0, True
        about = f"{type(objective).__name__} {temperature} {count} {classes_of(objective)}"
        self.folder = folder / digest(teacher.model.state_dict(), about)

    def answers(self, batch: Batch) -> Answers:
        """What the teacher says or has said to a batch."""
        path = self.folder / f"{digest(batch)}.safetensors"
        try:
            kept = load_file(path)
            self.found += len(batch["input_ids"])
        except (OSError, SafetensorError):
            kept = self._asked(batch)
            self._write(kept, path)
        return Kept(kept["ids"], kept["log_p"], self.temperature)

    @torch.no_grad()
    def _asked(self, batch: Batch) -> dict[str, Tensor]:
        live = self.ask(batch)
        return _likeliest(live, self.count, classes_of(self.objective))

    def _write(self, kept: dict[str, Tensor], path: Path) -> None:
        if not self.writes:
            return
        part = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(kept, part)
            part.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            self.writes = False
            log.warning(
                "compression.distill.cache=%s: %s; no more answers are kept, and the teacher is "
                "asked instead", self.folder.parent, error.strerror,
            )  # fmt: skip

    def report(self) -> dict[str, float]:
        """Samples that the teacher has read, and those whose answers were there."""
        return {**super().report(), "teacher_samples_kept": self.found}


def _likeliest(live: Live, count: int, classes: int) -> dict[str, Tensor]:
    parts = []
    for rows_MD in live.rows_MD.split(ROWS_AT_ONCE):
        with exact(rows_MD.device):
            parts.append(largest(live.head(rows_MD)[:, :classes], live.temperature, count))
    ids, log_p = zip(*parts, strict=True)
    return {"ids": torch.cat(ids).cpu(), "log_p": torch.cat(log_p).cpu()}


def digest(tensors: Mapping[str, Tensor], about: str = "") -> str:
    """A name for tensors of these values."""
    found = hashlib.blake2b(about.encode(), digest_size=16)
    for key, value in sorted(tensors.items()):
        found.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
