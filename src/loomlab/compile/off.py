"""No compilation."""

from __future__ import annotations

from torch import nn

from loomlab.compile.base import Compile


class Off(Compile):
    """Run the model as it is written: nothing to wait for, best for short runs on CPU."""

    def apply(self, model: nn.Module) -> None:
        """Leave the model as it is."""
