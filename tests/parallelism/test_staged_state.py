"""Stages save and load the optimizer state that one process would."""

import copy

import pytest
import torch
from torch import nn

from loomlab.parallelism.staged_state import StagedOptimizer


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def optimizer(model: nn.Module, **settings: object) -> torch.optim.AdamW:
    """Two groups, in which the layers are mixed."""
    matrices = [p for p in model.parameters() if p.ndim == 2]
    biases = [p for p in model.parameters() if p.ndim == 1]
    return torch.optim.AdamW([{"params": matrices}, {"params": biases, "lr": 0.5}], **settings)


def stage(number: int) -> tuple[nn.Module, StagedOptimizer]:
    model = network()
    names = {id(p): name for name, p in model.named_parameters()}
    own = [id(p) for p in model[number].parameters()]
    return model, StagedOptimizer(optimizer(model), names, own)


def stepped(model: nn.Module, its: torch.optim.Optimizer, seed: int) -> None:
    torch.manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    its.step()


def test_stages_together_save_what_one_process_saves():
    whole = network()
    known = optimizer(whole)
    stepped(whole, known, 1)
    named = {}
    for number in (0, 1):
        model, staged = stage(number)
        stepped(model, staged.optimizer, 1)
        named |= staged.by_name()
    saved, expected = staged.as_whole(named), known.state_dict()
    assert saved["param_groups"] == expected["param_groups"]
    assert saved["state"].keys() == expected["state"].keys()
    for key, values in expected["state"].items():
        torch.testing.assert_close(saved["state"][key], values)


@pytest.mark.parametrize("number", [0, 1])
def test_a_stage_goes_on_where_one_process_was(number: int):
    whole = network()
    known = optimizer(whole)
    stepped(whole, known, 1)
    model, staged = stage(number)
    model.load_state_dict(whole.state_dict())
    staged.load(copy.deepcopy(known.state_dict()))
    stepped(whole, known, 2)
    stepped(model, staged.optimizer, 2)
    for name, parameter in model[number].named_parameters():
        assert torch.equal(parameter, whole[number].get_parameter(name))
    other = model[1 - number].weight
    assert not torch.equal(other, whole[1 - number].weight), "it is not held here"
