"""bfloat16 autocast: close to single precision, weights in 32 bits."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file
from tests.marks import fast_slow_soak

from loomlab.precision.bf16 import BF16
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

RUN = [
    *("model.layers=2", "model.width=32", "model.heads=2", "budget.steps=8"),
    *("optimizer.lr=0.003", "callbacks=[checkpoint]", "trainer.val_every_n_steps=4"),
]
KINDS = {"clm": ["objective=clm"], "mlm": ["objective=mlm", "model=bert"]}


def test_it_is_lightnings_mixed_mode():
    assert BF16().lightning == "bf16-mixed"
    assert BF16().bf16


@pytest.mark.parametrize("kind", fast_slow_soak(KINDS, fast=["clm"], slow=["mlm"]))
def test_bf16_stays_close_to_fp32(
    train: Callable[..., RunFolder], train_once: Callable[..., RunFolder], kind: str
):
    exact = train(*KINDS[kind], *RUN, "precision=fp32")
    rounded = train_once(*KINDS[kind], *RUN, "precision=bf16")
    assert rounded.summary()["precision"] == "bf16-mixed"
    losses = [
        [row["train/loss"] for row in read_metrics(folder.metrics) if "train/loss" in row]
        for folder in (exact, rounded)
    ]
    assert losses[0][-1] < losses[0][0], "it learns"
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0], "the products were rounded"
    for key in ("final", "best"):
        assert rounded.summary()[key]["val/bits_per_byte"] == pytest.approx(
            exact.summary()[key]["val/bits_per_byte"], rel=0.01
        )


def test_weights_stay_in_32_bits(train_once: Callable[..., RunFolder]):
    folder = train_once(*KINDS["clm"], *RUN, "precision=bf16")
    weights = load_file(folder.model / "model.safetensors")
    assert {w.dtype for w in weights.values()} == {torch.float32}
    state = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)
    moments = [
        value
        for entry in state["optimizer_states"][0]["state"].values()
        for value in entry.values()
        if torch.is_tensor(value)
    ]
    assert moments
    assert {m.dtype for m in moments} == {torch.float32}
