"""The contract of every compile option."""

from __future__ import annotations

import abc
from typing import ClassVar

from torch import nn


class Compile(abc.ABC):
    """What happens to the model's code before training.

    `fuses`: tensors between products of matrices are hardly ever written to memory.
    """

    fuses: ClassVar[bool] = False

    @abc.abstractmethod
    def apply(self, model: nn.Module) -> None:
        """Compile `model` in place, so that no name of a weight changes."""
