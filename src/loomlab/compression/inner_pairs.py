"""Which inner states of a student and its teacher are compared, and whether they can be."""

from __future__ import annotations

from typing import Any

from torch import nn

from loomlab.compression.inner_losses import WIDEN
from loomlab.compression.layer_map import layer_map
from loomlab.errors import InputError
from loomlab.measure.blocks import named_blocks


def width(model: Any) -> int:
    """Of hidden states."""
    return int(model.config.hidden_size)


def require_as_many_heads(student: Any, teacher: Any, kind: str) -> None:
    """Refuse to compare attention of other numbers of heads.

    Raises:
        InputError: saying which.
    """
    own, wanted = (getattr(m.config, "num_attention_heads", None) for m in (student, teacher))
    if own != wanted:
        raise InputError(
            f"compression.distill.inner={kind}: heads are compared one by one, and this model has "
            f"{own}, its teacher {wanted}; give model.heads={wanted}, or inner=distilbert"
        )


def paired(student: nn.Module, teacher: nn.Module, given: list[int]) -> list[int]:
    """A layer of the teacher for each of the student: as given, or every n-th and so the last.

    Raises:
        InputError: as of `layer_map`.
    """
    own, theirs = len(named_blocks(student)), len(named_blocks(teacher))
    return layer_map(own, theirs, given) if own and theirs else []


def add_widening(student: nn.Module, teacher: nn.Module) -> None:
    """Where widths differ, give the student a matrix that leads to the width of the teacher."""
    own, wanted = width(student), width(teacher)
    if own != wanted:
        matrix = nn.Linear(own, wanted, bias=False)
        nn.init.normal_(matrix.weight, std=own**-0.5)
        student.add_module(WIDEN, matrix)
