"""Layers shared out to processes give what one process gives, and are saved whole."""

from collections.abc import Callable

import pytest
import torch
from tests.marks import fast_slow_soak

from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.parallelism.tp import TP
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
Same = Callable[[RunFolder, RunFolder], None]
pytestmark = pytest.mark.usefixtures("warm_ranks")
TEXTS = ["probe=[samples]", "probe.samples.length=4", "callbacks.samples.length=4"]
SMALL = ["model.layers=2", "model.width=16", "model.heads=2", "runtime=plain"]
LONG = [*SMALL, "budget.steps=8", "trainer.val_every_n_steps=4", "trainer.gradient_clip_val=0.1"]
PARTS = ["parallelism=tp", "parallelism.devices=2"]
KINDS = {
    "clm": ["callbacks=[checkpoint,guard,samples]", *TEXTS],
    "mlm": ["model=bert", "objective=mlm", "trainer.accumulate_grad_batches=2"],
    "gated, untied": [
        "model.activation=swiglu", "model.mlp_ratio=3", "model.bias=false", "model.norm=rmsnorm",
        "model.tied=false", "position=rope", "attention=sliding_window",
        "attention.window=8", "optimizer=lion",
    ],
}  # fmt: skip


BOTH = ["parallelism.loss_parallel=true", "parallelism.sequence_parallel=true"]
SWITCHES = {"mlm": BOTH, "gated, untied": BOTH}
WAYS: dict[str, tuple[list[str], list[str]]] = {
    "tp to single": ([*PARTS, *BOTH], []),
    "single to tp": ([], PARTS),
    "fsdp2 to tp": (["parallelism=fsdp2"], [*PARTS, *BOTH]),
}


@pytest.mark.parametrize("kind", fast_slow_soak(KINDS, slow=["clm"]))
def test_two_processes_equal_one(train: Train, same: Same, kind: str):
    alone = train(*LONG, *KINDS[kind], folder="alone")
    pair = train(*LONG, *KINDS[kind], *PARTS, *SWITCHES.get(kind, []), folder="pair")
    assert len(read_metrics(pair.metrics)) == 8
    same(alone, pair)


@pytest.mark.parametrize("way", fast_slow_soak(WAYS, slow=["fsdp2 to tp"]))
def test_a_checkpoint_resumes_under_another_option(train: Train, same: Same, way: str):
    first, then = WAYS[way]
    constant = [*SMALL, "scheduler=constant", "callbacks=[checkpoint]"]
    straight = train(*constant, "budget.steps=8", folder="straight")
    folder = train(*constant, "budget.steps=4", *first)
    train(*constant, "budget.steps=8", *then, f"resume={folder.path}")
    same(straight, folder)


def model(**settings: object) -> torch.nn.Module:
    sizes: dict = {"layers": 1, "width": 12, "heads": 6, "vocab_size": 8, "context_length": 8}
    return GPTConfig(**{**sizes, **settings}).build("causal_lm")


def test_heads_that_cannot_be_shared_out_are_refused():
    TP(devices=3).check(model())
    with pytest.raises(InputError, match=r"devices=4 does not divide model\.heads=6.*1, 2, 3, 6"):
        TP(devices=4).check(model())


def test_an_inner_width_that_cannot_be_shared_out_is_refused():
    with pytest.raises(InputError, match="inner width 25"):
        TP(devices=2).check(model(mlp_ratio=25 / 12))


def test_all_processes_read_the_same_rows():
    option = TP(devices=4)
    assert (option.shares, [option.share(rank) for rank in range(4)]) == (1, [0, 0, 0, 0])
