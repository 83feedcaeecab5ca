"""No position leaves everything as it was."""

import torch

from loomlab.position.none import NoPosition


def test_every_hook_is_a_no_op():
    position = NoPosition(width=4, heads=2, context_length=3)
    x, place = torch.randn(1, 3, 4), torch.arange(3)[None]
    q, k = torch.randn(2, 1, 2, 3, 2).unbind(0)
    assert position.embed(x, place) is x
    assert position.rotate(q, k, place) == (q, k)
    assert position.bias(place, place) is None
    assert not position.has_bias
    assert list(position.parameters()) == []
    position.check_length(100)
