"""torch.compile of what is really called."""

from __future__ import annotations

from typing import Literal

from torch import nn

from loomlab.compile.base import Compile


class Default(Compile):
    """Compile the model with torch.compile, in place; worth its wait of minutes in long runs.

    Compiled is the trunk, from token ids to hidden states, of a model that can part with its
    head, which is computed in chunks as it is written; otherwise the whole model. The losses are
    the same but for rounding; dropout draws other random numbers than without compilation.
    """

    fuses = True
    staged = False  # a stage of a pipeline is not enough
    tensor_parallel = False
    requires = {"model.trained_by": ("gradient",)}
    because = {"model.trained_by": "counting n-grams runs no model that could be compiled"}
    problem_check = "loomlab.compile.checks.has_a_compiler"

    def __init__(
        self,
        mode: Literal["default", "reduce-overhead", "max-autotune"] = "default",
        dynamic: bool | None = None,
        fullgraph: bool = False,
    ) -> None:
        """The settings of torch.compile of the same names.

        `dynamic` of None compiles for one size, and for any size once a second one is seen, such
        as that of the last held-out batch. `fullgraph` refuses code that cannot be one graph.
        """
        self.mode = mode
        self.dynamic = dynamic
        self.fullgraph = fullgraph

    def apply(self, model: nn.Module) -> None:
        """Compile in place by nn.Module.compile, which changes no name."""
        called = model.base_model if hasattr(model, "hidden_states") else model
        assert isinstance(called, nn.Module)
        called.compile(mode=self.mode, dynamic=self.dynamic, fullgraph=self.fullgraph)
