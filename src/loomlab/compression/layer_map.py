"""Which layer of a teacher a layer of a student stands for, and a student cut out of a teacher."""

from __future__ import annotations

import math

from torch import Tensor, nn

from loomlab.errors import InputError
from loomlab.optimizer.layers import NUMBERED

KEY = "compression.distill"
MENTIONED = 3  # weights that a refusal names


def layer_map(students: int, teachers: int, given: list[int]) -> list[int]:
    """For each layer of the student one of the teacher: as given, or every n-th and so the last.

    Raises:
        InputError: another number of them is given than the student has, or one is not there.
    """
    if not given:
        return [math.ceil((i + 1) * teachers / students) - 1 for i in range(students)]
    if len(given) != students or not all(0 <= layer < teachers for layer in given):
        raise InputError(
            f"{KEY}.layers={given}: give {students} numbers from 0 to {teachers - 1}, one layer "
            "of the teacher for each of the student's, or none for every n-th"
        )
    return given


def cut_out(student: nn.Module, teacher: nn.Module, given: list[int]) -> list[int]:
    """Give the student the weights of the layers it stands for, and all that is no layer.

    The layers are returned. DistilBERT (Sanh et al. 2019, arXiv 1910.01108, section 2) starts so.

    Raises:
        InputError: the student is no smaller version of the teacher.
    """
    own, theirs = student.state_dict(), teacher.state_dict()
    depths = count(own), count(theirs)
    taken = layer_map(*depths, given) if all(depths) else []
    sources = {key: _renumbered(key, taken) for key in own}
    wrong = [k for k, s in sources.items() if s not in theirs or theirs[s].shape != own[k].shape]
    if wrong:
        raise InputError(
            f"{KEY}.start=teacher: the teacher has no such weights as {_few(wrong)} of this "
            "model; give the same model with fewer layers, and the teacher's tokenizer, or "
            "start=own"
        )
    student.load_state_dict({key: theirs[source] for key, source in sources.items()})
    return taken


def count(weights: dict[str, Tensor]) -> int:
    """Numbered layers in the names of weights."""
    return len({match[1] for key in weights if (match := NUMBERED.search(key))})


def _renumbered(key: str, taken: list[int]) -> str:
    match = NUMBERED.search(key)
    if not match or not taken:
        return key
    return f"{key[: match.start(1)]}{taken[int(match[1])]}{key[match.end(1) :]}"


def _few(keys: list[str]) -> str:
    more = f" and {len(keys) - MENTIONED} more" if len(keys) > MENTIONED else ""
    return ", ".join(keys[:MENTIONED]) + more
