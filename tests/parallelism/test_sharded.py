"""Compression of models that are cut up: what one process would have made of them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from tests.marks import fast_slow_soak
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from loomlab.compose.gate import check
from loomlab.parallelism.sharded import Whole
from loomlab.run.folder import RunFolder

Train = Callable[..., RunFolder]
Same = Callable[[RunFolder, RunFolder], None]
pytestmark = pytest.mark.usefixtures("warm_ranks")
GIVEN = [
    *("model.layers=2", "model.width=16", "model.heads=2", "runtime=plain", "budget.steps=8"),
    *("trainer.gradient_clip_val=0.1", "trainer.val_every_n_steps=4", "scheduler=constant"),
    *("callbacks=[checkpoint,guard]",),
]
CUT = ["fsdp2", "tp", "fsdp2_tp"]
TECHNIQUES = ["lora", "pissa", "prune_magnitude", "gptq", "low_rank"]
ADAPTERS = [
    *("model=bert", "objective=mlm", "compression=[lora,quantize_int8]"),
    *("compression.lora.rank=2", "optimizer.lr=0.01"),
]


@pytest.mark.soak
def test_adapters_on_parts_of_layers_then_of_weights(train: Train, same: Same):
    """Half of a run under tp, the rest of it under fsdp2; rounded when it is over."""
    alone = train(*GIVEN, *ADAPTERS, folder="alone")
    pair = train(*GIVEN, *ADAPTERS, "parallelism=tp", "budget.steps=4", folder="pair")
    states = [torch.load(f.checkpoints / "last.ckpt", weights_only=True) for f in (alone, pair)]
    one, other = ({k: v.shape for k, v in s["state_dict"].items()} for s in states)
    assert one == other, "saved whole"
    train(*GIVEN, *ADAPTERS, "parallelism=fsdp2", f"resume={pair.path}", folder="pair")
    same(alone, pair)
    assert pair.summary()["compression"] == alone.summary()["compression"]


@pytest.mark.soak
def test_adapters_in_copies_of_the_model(train: Train, train_once: Train, same: Same):
    pair = train(*GIVEN, *ADAPTERS, "parallelism=ddp")
    same(train_once(*GIVEN, *ADAPTERS), pair)


@pytest.mark.soak
@pytest.mark.parametrize("option", ["ddp", "fsdp2", "tp"])  # fsdp2_tp: in its own file
def test_masks_are_those_of_one_process(train: Train, train_once: Train, same: Same, option: str):
    given = [*GIVEN, "compression=[prune_gradual]", "compression.prune_gradual.every=3"]
    alone, pair = train_once(*given), train(*given, f"parallelism={option}")
    same(alone, pair)
    one, other = (load_file(f.model / "model.safetensors") for f in (alone, pair))
    assert all(torch.equal(one[key] == 0, other[key] == 0) for key in one)
    assert pair.summary()["compression"]["PruneGradual"]["sparsity"] == 0.5


@pytest.mark.parametrize("technique", fast_slow_soak(["qat", "ternary"], slow=["qat"]))
def test_rounding_in_training_is_that_of_one_process(train: Train, same: Same, technique: str):
    given = [*GIVEN, f"compression=[{technique}]"]
    alone = train(*given, folder="alone")
    pair = train(*given, "parallelism=fsdp2", folder="pair")
    same(alone, pair)
    assert pair.summary()["compression"] == alone.summary()["compression"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["parallelism=tp", "compression=[qat]"], "compression.tensor_parallel to be True"),
        (["parallelism=tp", "compression=[ternary]"], "compression.tensor_parallel to be True"),
        (["parallelism=tp", "compression=[dora]"], "compression.method to be lora or pissa"),
        (["parallelism=fsdp2_tp", "compression=[qat]"], "compression.tensor_parallel to be True"),
        (["parallelism=pipeline", "compression=[lora]"], "compression.staged to be True"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_what_cannot_work_on_parts_is_refused(overrides: list[str], said: str):
    assert said in check(overrides, False).message()


@pytest.mark.parametrize("pair", fast_slow_soak(
    [(option, technique) for technique in TECHNIQUES for option in CUT],
    fast=zip(["fsdp2_tp", "fsdp2", "tp", "fsdp2_tp", "fsdp2"], TECHNIQUES, strict=True),
), ids="-".join)  # fmt: skip
def test_what_works_on_parts_is_let_through(pair: tuple[str, str]):
    given = [f"parallelism={pair[0]}", f"compression=[{pair[1]}]"]
    assert not check(given, False).problems


def test_a_validation_leaves_no_weight_whole():
    """Nor in blocks that keep them for a backward pass that does not come."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        mesh, module = DeviceMesh("cpu", [0]), torch.nn.Module()
        module.model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
        for part in (*module.model, module.model):
            fully_shard(part, mesh=mesh, reshard_after_forward=False)
        with torch.no_grad():
            module.model(torch.ones(1, 2))
        assert not any(isinstance(p, DTensor) for p in module.parameters())
        trainer: Any = None
        Whole().on_validation_epoch_end(trainer, module)  # type: ignore[arg-type]
        assert all(isinstance(p, DTensor) for p in module.parameters())
    finally:
        dist.destroy_process_group()
