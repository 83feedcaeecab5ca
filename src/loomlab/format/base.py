"""What every export format offers: a model written to a folder, and read from it to be run."""

from __future__ import annotations

import abc
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

INPUTS = ("input_ids", "attention_mask")  # in the order in which graphs take them
Inputs = dict[str, Tensor]  # some of INPUTS, (B, T) each
Runner = Callable[[Inputs], Tensor]  # -> logits, (B, T, V) or (B, C)


class Format(abc.ABC):
    """One way to write a model; an export counts only if it gives what the model gave.

    `tolerance` is how far a logit may be off; None where numbers are rounded by design.
    `perplexity_tolerance` is how far, relatively, the perplexity of held-out text may be off.
    """

    tolerance: float | None = 1e-3
    perplexity_tolerance: float = 1e-3
    file: ClassVar[str]  # what holds the weights, in the folder of the export

    @abc.abstractmethod
    def write(self, model: nn.Module, example: Inputs, folder: Path) -> None:
        """Write the model into the folder; `example` has the inputs it takes.

        Raises:
            InputError: this model cannot be written in this format.
        """

    @abc.abstractmethod
    def read(self, folder: Path, names: tuple[str, ...]) -> Runner:
        """What computes logits from the files of the folder; `names` are the inputs it takes."""
