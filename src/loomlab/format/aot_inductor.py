"""AOTInductor: the graph compiled to a shared library, weights included."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from loomlab.compile.checks import has_a_compiler
from loomlab.errors import InputError
from loomlab.format.base import Format, Inputs, Runner
from loomlab.format.traced import traced


class AOTInductor(Format):
    """A `.pt2` package of machine code for this kind of processor; needs a C++ compiler."""

    file = "model.pt2"

    def write(self, model: nn.Module, example: Inputs, folder: Path) -> None:
        """Trace, compile and package the model."""
        for complaint in has_a_compiler({}):
            raise InputError(f"format=aot_inductor: {complaint}")
        path = str(folder / self.file)
        torch._inductor.aoti_compile_and_package(traced(model, example), package_path=path)

    def read(self, folder: Path, names: tuple[str, ...]) -> Runner:
        """The compiled library."""
        compiled = torch._inductor.aoti_load_package(str(folder / self.file))
        return lambda inputs: compiled(*(inputs[name] for name in names))
