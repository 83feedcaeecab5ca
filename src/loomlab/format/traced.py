"""A model as one graph of any batch size and length, as several formats need it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from loomlab.errors import InputError, first_line
from loomlab.format.base import INPUTS, Inputs
from loomlab.measure.modes import uncached


class LogitsOnly(nn.Module):
    """A model that takes its inputs in order and gives its logits alone."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: Tensor) -> Tensor:
        """The logits for the inputs, which are in the order of `names`."""
        logits: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def traced(model: nn.Module, example: Inputs) -> ExportedProgram:
    """The graph of a model in evaluation mode, batch and length left open.

    Raises:
        InputError: the code of the model cannot be one graph.
    """
    names = tuple(name for name in INPUTS if name in example)
    # Also where positions go on without end: a graph keeps the table of those it was traced with.
    longest = getattr(model.config, "max_position_embeddings", None)
    free = {0: Dim("batch"), 1: Dim("length", max=longest)}
    wrapped = LogitsOnly(model, names).eval()
    try:
        with uncached(model):
            return torch.export.export(
                wrapped,
                tuple(example[n] for n in names),
                dynamic_shapes={"inputs": (free,) * len(names)},
                strict=False,
            )
    except (torch._dynamo.exc.UserError, RuntimeError) as error:
        raise InputError(
            f"format: {type(model).__name__} cannot be turned into one graph "
            f"({first_line(error)}); use format=safetensors"
        ) from error
