"""Four processes, in groups of two that hold parts of layers, train what one process would."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file

from loomlab.compose.gate import check
from loomlab.parallelism.fsdp2_tp import FSDP2TP
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
Same = Callable[[RunFolder, RunFolder], None]
pytestmark = pytest.mark.usefixtures("warm_ranks")
TEXTS = ["probe=[samples]", "probe.samples.length=4", "callbacks.samples.length=4"]
SMALL = ["model.layers=2", "model.width=16", "model.heads=2", "runtime=plain"]
LONG = [*SMALL, "budget.steps=20", "trainer.val_every_n_steps=10", "trainer.gradient_clip_val=0.1"]
FOUR = ["parallelism=fsdp2_tp"]


@pytest.mark.soak
def test_four_processes_go_on_from_one_and_save_the_whole(train: Train, same: Same):
    given = [*LONG, "scheduler=constant", "callbacks=[checkpoint,guard,samples]",
             *TEXTS]  # fmt: skip
    straight = train(*given, "budget.steps=30", folder="straight")
    folder = train(*given, "budget.steps=10")
    train(*given, "budget.steps=30", *FOUR, f"resume={folder.path}")
    same(straight, folder)
    one, other = (
        torch.load(f.checkpoints / "last.ckpt", weights_only=True) for f in (straight, folder)
    )
    torch.testing.assert_close(other["state_dict"], one["state_dict"], rtol=0, atol=5e-5)
    states = [state["optimizer_states"][0]["state"] for state in (one, other)]
    torch.testing.assert_close(states[1], states[0], rtol=0, atol=5e-5)


@pytest.mark.soak
def test_four_processes_find_the_masks_of_one(train: Train, same: Same):
    given = [
        *(*LONG, "model=bert", "objective=mlm", "compression=[prune_gradual]"),
        "compression.prune_gradual.every=3",
    ]
    alone = train(*given, folder="alone")
    four = train(*given, *FOUR, folder="four")
    assert len(read_metrics(four.metrics)) == 20
    same(alone, four)
    one, other = (load_file(f.model / "model.safetensors") for f in (alone, four))
    assert all(torch.equal(one[key] == 0, other[key] == 0) for key in one)
    assert four.summary()["compression"]["PruneGradual"]["sparsity"] == 0.5


def test_neighbours_read_the_same_rows():
    option = FSDP2TP(devices=8, tensor_parallel=4)
    assert option.shares == 2
    assert [option.share(rank) for rank in range(8)] == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["devices=6", "tensor_parallel=4"], "6 processes are not groups of 4; give 4 or 8"),
        (["devices=4", "tensor_parallel=4"], "use parallelism=tp parallelism.devices=4"),
        (["devices=6", "tensor_parallel=3"], "3 does not divide model.heads=2; give one of 2"),
    ],
)
def test_processes_that_make_no_groups_are_refused(settings: list[str], said: str):
    given = [f"parallelism.{s}" for s in settings]
    checked = check([*FOUR, *given, "model.heads=2", "global_batch_size=12"], False)
    assert said in checked.message()


@pytest.mark.parametrize("optimizer", ["muon", "adafactor"])
def test_an_optimizer_of_whole_matrices_is_refused(optimizer: str):
    message = check([*FOUR, f"optimizer={optimizer}"], False).message()
    assert "it reads whole matrices, and a process holds a part of each" in message


def test_the_batch_is_shared_by_groups_alone():
    """Two rows are enough for two groups, one is not."""
    assert not check([*FOUR, "global_batch_size=2", "model.heads=2"], False).problems
    message = check([*FOUR, "global_batch_size=1", "model.heads=2"], False).message()
    assert "1 rows cannot be shared by 2 processes" in message
