"""The inputs of blocks are kept alone, and everything between is computed twice."""

from collections.abc import Callable
from typing import Any


def test_it_keeps_less_than_half_and_computes_the_forward_pass_again(
    rehearsed: Callable[[str], Any],
):
    kept, again = rehearsed("none"), rehearsed("block")
    assert again.activations < kept.activations / 2
    assert again.peak < kept.peak
    assert 1.1 < again.flops / kept.flops < 1.4
    assert again.parameters == kept.parameters
