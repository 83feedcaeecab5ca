"""What torch.export computes is what the model computed."""

from collections.abc import Callable

import pytest

from loomlab.format.torch_export import TorchExport

pytestmark = pytest.mark.slow  # tracing and compiling take their time


@pytest.mark.parametrize("kind", ["gpt", "bert"])
def test_logits_of_any_batch_and_length(kind: str, furthest: Callable[..., float]):
    assert furthest(TorchExport(), kind) < 1e-4
