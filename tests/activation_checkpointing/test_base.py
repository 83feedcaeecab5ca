"""Blocks run again in the backward pass: the same run, in less memory."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file
from tests.marks import fast_slow_soak

from loomlab.errors import InputError
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

SMALL = ["model.layers=2", "model.width=16", "model.heads=2", "model.dropout=0.1", "runtime=plain"]
RUN = ["budget.steps=3", "callbacks=[checkpoint]", "trainer.log_every_n_steps=1"]
KINDS = {
    "gpt": SMALL,
    "bert": [*SMALL, "model=bert", "objective=mlm"],
    "hf": [
        "model=hf", "model.architecture_type=gpt2",
        "++model.config={n_layer:2,n_embd:16,n_head:2,resid_pdrop:0.1}",
    ],
    "layers dropped": [*SMALL, "regularization=[layer_drop]"],
    "hidden states": [*SMALL, "compression=[distill]", "compression.distill.teacher=self"],
    "adapted": [*SMALL, "compression=[lora]"],
    "prefix": [*SMALL, "compression=[prefix_tuning]"],
    "adapters": [*SMALL, "compression=[adapters]"],
    "masked": [*SMALL, "compression=[prune_movement]"],
    "together": [
        *SMALL, "model=bert", "objective=mlm", "regularization=[layer_drop]", "compression=[qat]",
    ],
    "rounded": [*SMALL, "compression=[qat]"],
    "accumulated, averaged": [
        *SMALL, "trainer.accumulate_grad_batches=2", "regularization=[ema]",
    ],
}  # fmt: skip


TWO = ["parallelism.devices=2"]
ELSEWHERE = {
    "ddp": ["parallelism=ddp", *TWO],
    "fsdp2": ["parallelism=fsdp2", *TWO],
    "tp": ["parallelism=tp", *TWO, "parallelism.sequence_parallel=true"],
    "pipeline": ["parallelism=pipeline", *TWO],
    "compiled": ["compile=default"],
}


@pytest.mark.parametrize("kind", fast_slow_soak(KINDS, ["gpt"], ["hf", "adapted", "together"]))
def test_the_run_is_the_same(train: Callable[..., RunFolder], kind: str):
    kept, *others = (
        train(*RUN, *KINDS[kind], f"activation_checkpointing={name}", folder=name)
        for name in ("none", "block", "selective")
    )
    losses = [row["train/loss"] for row in read_metrics(kept.metrics)]
    weights = load_file(kept.model / "model.safetensors")
    for other in others:
        again = [row["train/loss"] for row in read_metrics(other.metrics)]
        assert again == pytest.approx(losses, abs=1e-6)
        theirs = load_file(other.model / "model.safetensors")
        assert weights.keys() == theirs.keys()
        for key, value in weights.items():
            torch.testing.assert_close(theirs[key], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("option", fast_slow_soak(["block", "selective"], slow=["selective"]))
@pytest.mark.parametrize("where", fast_slow_soak(ELSEWHERE, slow=["fsdp2"]))
@pytest.mark.usefixtures("warm_ranks")
def test_the_run_is_the_same_when_spread_or_compiled(
    train: Callable[..., RunFolder], same: Callable[[RunFolder, RunFolder], None], where: str,
    option: str,
):  # fmt: skip
    given = [*RUN, *SMALL, "model.dropout=0"]
    alone = train(*given, folder="alone")
    more = [*ELSEWHERE[where], f"activation_checkpointing={option}"]
    same(alone, train(*given, *more, folder="other"))


def test_a_model_that_cannot_is_refused(train: Callable[..., RunFolder]):
    """XLM of Transformers has no layers that could be run again."""
    with pytest.raises(InputError, match="activation_checkpointing=none"):
        train(
            *RUN, "model=hf", "model.architecture_type=xlm", "objective=mlm",
            "++model.config={n_layers:1,emb_dim:16,n_heads:2}", "activation_checkpointing=block",
        )  # fmt: skip
