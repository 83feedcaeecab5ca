"""What Safetensors computes is what the model computed."""

from collections.abc import Callable

import pytest

from loomlab.format.safetensors import Safetensors


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_logits_of_any_batch_and_length(kind: str, furthest: Callable[..., float]):
    assert furthest(Safetensors(), kind) < 1e-4


def test_a_model_of_our_own_keeps_its_class(furthest: Callable[..., float]):
    rope = {"_target_": "loomlab.position.rope.RoPE"}
    assert furthest(Safetensors(), "gpt", position=rope) < 1e-6
