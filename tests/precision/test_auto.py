"""bf16 only where it is measured to pay."""

from collections.abc import Callable

import pytest
import torch

from loomlab.compose.gate import check
from loomlab.precision.auto import Auto, bf16_speedup
from loomlab.run.folder import RunFolder

ON_CPU = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU always takes bf16")


@ON_CPU
def test_the_measurement_decides():
    speedup = bf16_speedup()
    assert speedup > 0
    assert bf16_speedup() == speedup, "measured once per process"
    assert not Auto(faster_by=speedup * 2).bf16
    assert Auto(faster_by=speedup / 2).bf16
    assert Auto(faster_by=speedup / 2).lightning == "bf16-mixed"


@ON_CPU
def test_out_of_reach_is_fp32(train: Callable[..., RunFolder]):
    small = ["model.layers=1", "model.width=16", "model.heads=2"]
    auto = train(*small, "precision=auto", "precision.faster_by=1e9", folder="auto")
    fp32 = train(*small, "precision=fp32", folder="fp32")
    assert auto.summary()["precision"] == "32-true"
    assert auto.summary()["choice"]["precision"] == "auto"
    assert auto.summary()["best"] == fp32.summary()["best"]


def test_what_was_taken_is_recorded(train: Callable[..., RunFolder]):
    folder = train("model.layers=1", "model.width=16", "model.heads=2", "precision=auto")
    assert folder.summary()["precision"] == Auto().lightning


def test_slower_than_fp32_cannot_be_asked_for():
    checked = check(["precision=auto", "precision.faster_by=0.5"])
    assert "precision.faster_by" in checked.message()
