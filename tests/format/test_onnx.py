"""What ONNX computes is what the model computed."""

from collections.abc import Callable

import pytest

from loomlab.format.onnx import ONNX

pytestmark = pytest.mark.slow  # tracing and compiling take their time


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_logits_of_any_batch_and_length(kind: str, furthest: Callable[..., float]):
    assert furthest(ONNX(), kind) < 1e-4


def test_what_needs_no_table_of_positions(furthest: Callable[..., float]):
    rope = {"_target_": "loomlab.position.rope.RoPE"}
    assert furthest(ONNX(), "gpt", position=rope, norm="rmsnorm", activation="swiglu") < 1e-4


def test_int8_is_near(furthest: Callable[..., float]):
    """Weights of up to 1 and logits of about 4: within some steps of 1/127."""
    off = furthest(ONNX(int8=True), "gpt")
    assert 0 < off < 0.5
