"""Single precision."""

from collections.abc import Callable

import torch
from safetensors.torch import load_file

from loomlab.precision.fp32 import FP32
from loomlab.run.folder import RunFolder


def test_it_is_lightnings_32_true():
    assert FP32().lightning == "32-true"
    assert not FP32().bf16


def test_a_run_is_in_32_bits(train: Callable[..., RunFolder]):
    folder = train("model.layers=1", "model.width=16", "model.heads=2", "precision=fp32")
    assert folder.summary()["precision"] == "32-true"
    weights = load_file(folder.model / "model.safetensors")
    assert {w.dtype for w in weights.values()} == {torch.float32}
