"""What AOTInductor computes is what the model computed."""

from collections.abc import Callable

import pytest

from loomlab.format.aot_inductor import AOTInductor

pytestmark = pytest.mark.soak  # tracing and compiling take their time


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_logits_of_any_batch_and_length(kind: str, furthest: Callable[..., float]):
    assert furthest(AOTInductor(), kind) < 1e-4
