"""Which parts of a batch a model can be given, also one that is wrapped."""

from __future__ import annotations

import inspect
from collections.abc import Container

from torch import nn

# What compiling, spreading and adapting call the module they wrap.
INNER = ("_orig_mod", "module", "base_model")


class Everything(Container[str]):
    """Contains any name."""

    def __contains__(self, name: object) -> bool:
        return True


def accepted_inputs(model: nn.Module) -> Container[str]:
    """Names of the keyword arguments of a model's forward.

    A wrapper whose own forward takes anything is looked through; where nothing tells, everything
    is passed on, and the model itself refuses what it does not know.
    """
    parameters = inspect.signature(model.forward).parameters.values()
    kinds = {parameter.kind for parameter in parameters}
    if kinds - {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return {parameter.name for parameter in parameters}
    inner = (getattr(model, name, None) for name in INNER)
    wrapped = next((module for module in inner if isinstance(module, nn.Module)), None)
    return Everything() if wrapped is None else accepted_inputs(wrapped)
