"""Hooks are all there or none, and a compiled model is run compiled again once they are gone."""

import pytest
import torch
from torch import nn

from loomlab.callbacks.activation_norms import ActivationNorms
from loomlab.callbacks.forward_hooks import ForwardHooks
from loomlab.callbacks.shapes import Shapes


@pytest.fixture
def heard() -> list[str]:
    return []


def test_hooks_come_and_go_together(heard: list[str]):
    model, hooks = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), ForwardHooks()
    hooks.remove()  # nothing happens
    hooks.attach(model.named_modules(), lambda name: lambda *_: heard.append(name))
    assert hooks
    model(torch.ones(1, 2))
    assert heard == ["0", "1", ""]
    hooks.remove()
    assert not hooks
    model(torch.ones(1, 2))
    assert len(heard) == 3


@pytest.mark.parametrize("watcher", [ActivationNorms(), Shapes()])
def test_none_is_left_however_training_ends(watcher: ActivationNorms | Shapes):
    layer = nn.Linear(2, 2)
    watcher.hooks.attach([("layer", layer)], watcher._listener)
    watcher.teardown(None, None, "fit")  # type: ignore[arg-type]
    assert not layer._forward_hooks


def test_a_compiled_model_is_compiled_before_and_after(heard: list[str]):
    def backend(graph: torch.fx.GraphModule, _: object) -> object:
        return lambda *inputs: heard.append("compiled") or graph(*inputs)

    layer, hooks = nn.Linear(2, 2), ForwardHooks()
    model = torch.compile(layer, backend=backend)
    model(torch.ones(1, 2))
    hooks.attach([("layer", layer)], lambda name: lambda *_: heard.append(name))
    model(torch.ones(1, 2))
    hooks.remove()
    model(torch.ones(1, 2))
    assert heard == ["compiled", "layer", "compiled"]
