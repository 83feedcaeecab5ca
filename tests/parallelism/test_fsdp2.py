"""A model cut up over two processes trains what one process would, and is saved whole."""

from collections.abc import Callable

import pytest
import torch
from tests.marks import fast_slow_soak

from loomlab.parallelism.fsdp2 import FSDP2
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
Same = Callable[[RunFolder, RunFolder], None]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_ranks")]
TEXTS = ["probe=[samples]", "probe.samples.length=4", "callbacks.samples.length=4"]
SMALL = ["model.layers=2", "model.width=16", "model.heads=2", "runtime=plain"]
LONG = [*SMALL, "budget.steps=8", "trainer.val_every_n_steps=4", "trainer.gradient_clip_val=0.1"]
CUT = ["parallelism=fsdp2", "parallelism.devices=2"]
KINDS = {
    "clm": ["callbacks=[checkpoint,guard,samples,gradient_norms]", *TEXTS],
    "mlm": ["model=bert", "objective=mlm", "trainer.accumulate_grad_batches=2"],
    "untied, compiled": ["model.tied=false", "compile=default"],
}
WAYS = {
    "fsdp2 to single": (CUT, []),
    "single to fsdp2": ([], CUT),
    "fsdp2 to ddp": (CUT, ["parallelism=ddp", "parallelism.devices=2"]),
}


@pytest.mark.parametrize("kind", fast_slow_soak(KINDS, slow=["clm"]))
def test_two_processes_equal_one(train: Train, same: Same, kind: str):
    alone = train(*LONG, *KINDS[kind], folder="alone")
    pair = train(*LONG, *KINDS[kind], *CUT, folder="pair")
    assert len(read_metrics(pair.metrics)) == 8
    same(alone, pair)


@pytest.mark.parametrize(
    "way", fast_slow_soak(WAYS, slow=["fsdp2 to single"])
)  # fmt: skip
def test_a_checkpoint_resumes_under_another_option(train: Train, same: Same, way: str):
    first, then = WAYS[way]
    constant = [
        *SMALL,
        "scheduler=constant",
        "trainer.val_every_n_steps=5",
        "callbacks=[checkpoint]",
    ]
    straight = train(*constant, "budget.steps=10", folder="straight")
    folder = train(*constant, "budget.steps=5", *first)
    train(*constant, "budget.steps=10", *then, f"resume={folder.path}")
    same(straight, folder)


def test_each_process_holds_a_part(train: Train):
    """Of what a checkpoint has whole."""
    pair = train(*LONG, *CUT, "callbacks=[checkpoint]", folder="pair")
    state = torch.load(pair.checkpoints / "last.ckpt", weights_only=True)
    shapes = {key: value.shape for key, value in state["state_dict"].items()}
    assert shapes["model.transformer.embedding.weight"][1] == 16
    moments = state["optimizer_states"][0]["state"]
    assert {m["exp_avg"].shape for m in moments.values()} <= set(shapes.values())


def test_devices_are_processes():
    assert FSDP2(devices=3).shares == 3
