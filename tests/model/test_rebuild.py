"""What is rebuilt for the backward pass: the same gradients from less memory."""

import contextlib
import copy
import weakref

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from loomlab.model import block
from loomlab.model.gpt import GPTConfig
from loomlab.model.rebuild import rebuilt


def test_gradients_are_the_same_and_the_result_is_let_go():
    torch.manual_seed(0)
    x = torch.randn(5, 8, requires_grad=True)
    layer = nn.Linear(8, 4)

    def run(lean: bool) -> tuple[list[torch.Tensor], bool]:
        y = nn.functional.gelu(x)
        alive = weakref.ref(y)
        with rebuilt(y, nn.functional.gelu, x) if lean else contextlib.nullcontext():
            z = layer(y)
        del y
        gone = alive() is None
        return list(torch.autograd.grad(z.square().sum(), [x, *layer.parameters()])), gone

    (plain, kept), (lean, gone) = run(False), run(True)
    assert gone
    assert not kept, "else this test would show nothing"
    assert all(torch.equal(a, b) for a, b in zip(plain, lean, strict=True))


@pytest.mark.parametrize("order", ["pre", "post"])
@pytest.mark.parametrize("norm", ["layernorm", "rmsnorm"])
def test_a_model_has_the_gradients_it_has_without(order: str, norm: str, monkeypatch):
    torch.manual_seed(0)
    config = GPTConfig(
        layers=2, width=16, heads=2, norm_order=order, norm=norm, activation="swiglu", dropout=0.2
    )
    lean = config.build("causal_lm")
    plain = copy.deepcopy(lean)
    tokens = torch.randint(0, 256, (2, 12))

    def gradients(model: nn.Module) -> list[torch.Tensor]:
        torch.manual_seed(1)  # dropout
        model(input_ids=tokens, labels=tokens).loss.backward()
        return [p.grad for p in model.parameters()]

    ours = gradients(lean)
    monkeypatch.setattr(block, "rebuilt", lambda *_: contextlib.nullcontext())
    for a, b in zip(ours, gradients(plain), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_changed_copy_of_the_result_is_kept_as_it_is():
    """Only the very tensor is rebuilt, not one of the same shape."""
    x = torch.randn(4, 8, requires_grad=True)
    y = nn.functional.gelu(x)
    layer = nn.Linear(8, 8)
    with rebuilt(y, nn.functional.gelu, x):
        z = layer(y * 2)
    (weight,) = torch.autograd.grad(z.sum(), [layer.weight])
    torch.testing.assert_close(weight, (y * 2).sum(0).expand(8, 8))


def test_within_one_another_each_lets_its_own_result_go():
    """As the activation of a block within its norm."""
    x = torch.randn(5, 8, requires_grad=True)
    up, down = nn.Linear(8, 8), nn.Linear(8, 4)
    normed = nn.functional.layer_norm(x, (8,))
    with rebuilt(normed, lambda x: nn.functional.layer_norm(x, (8,)), x):
        inner = up(normed)
        active = nn.functional.gelu(inner)
        with rebuilt(active, nn.functional.gelu, inner):
            z = down(active)
    left = [weakref.ref(normed), weakref.ref(active)]
    del normed, active
    assert [alive() for alive in left] == [None, None]
    z.sum().backward()


def test_where_a_block_is_computed_again_nothing_in_it_is_kept():
    x = torch.randn(5, 8, requires_grad=True)
    up, down = nn.Linear(8, 8), nn.Linear(8, 4)
    left = []

    def block(x: torch.Tensor) -> torch.Tensor:
        inner = up(x)
        active = nn.functional.gelu(inner)
        left.extend([weakref.ref(inner), weakref.ref(active)])
        with rebuilt(active, nn.functional.gelu, inner):
            return down(active)

    z = checkpoint(block, x, use_reentrant=False)
    assert [alive() for alive in left] == [None, None]
    z.sum().backward()
