"""torch.export: the graph and the weights in one file, for torch without our code."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from loomlab.format.base import Format, Inputs, Runner
from loomlab.format.traced import traced


class TorchExport(Format):
    """A `.pt2` archive that `torch.export.load` reads; batch size and length are free."""

    file = "model.pt2"

    def write(self, model: nn.Module, example: Inputs, folder: Path) -> None:
        """Trace the model and save the program."""
        torch.export.save(traced(model, example), folder / self.file)

    def read(self, folder: Path, names: tuple[str, ...]) -> Runner:
        """The program as a module."""
        module = torch.export.load(folder / self.file).module()
        return lambda inputs: module(*(inputs[name] for name in names))
