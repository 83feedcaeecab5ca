"""A model that is wrapped is given the same parts of a batch as without its wrapper."""

import torch
from torch import Tensor, nn

from loomlab.objective.inputs import accepted_inputs


class Model(nn.Module):
    def forward(self, input_ids: Tensor, document_ids: Tensor | None = None) -> Tensor:
        return input_ids


class Wrapper(nn.Module):
    """As DistributedDataParallel and peft's models do it."""

    def __init__(self, module: nn.Module, name: str) -> None:
        super().__init__()
        self.add_module(name, module)

    def forward(self, *args: Tensor, **kwargs: Tensor) -> None:
        raise AssertionError("not called here")


def test_a_wrapper_is_looked_through():
    plain = {"input_ids", "document_ids"}
    assert accepted_inputs(Model()) == plain
    assert accepted_inputs(torch.compile(Model())) == plain
    assert accepted_inputs(Wrapper(Wrapper(Model(), "base_model"), "module")) == plain


def test_where_nothing_tells_nothing_is_dropped():
    assert "document_ids" in accepted_inputs(Wrapper(Model(), "hidden_away"))
