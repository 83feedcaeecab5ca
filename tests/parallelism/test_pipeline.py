"""Stages of a model on several processes train what one process would, and are saved whole."""

from collections.abc import Callable

import pytest
import torch
from tests.marks import fast_slow_soak

from loomlab.errors import InputError
from loomlab.model.gpt import GPTConfig
from loomlab.parallelism.pipeline import Pipeline
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
Same = Callable[[RunFolder, RunFolder], None]
pytestmark = pytest.mark.usefixtures("warm_ranks")
TEXTS = ["probe=[samples]", "probe.samples.length=4", "callbacks.samples.length=4"]
SMALL = ["model.layers=3", "model.width=16", "model.heads=2", "runtime=plain"]
LONG = [*SMALL, "budget.steps=8", "trainer.val_every_n_steps=4", "trainer.gradient_clip_val=0.1",
        "callbacks=[checkpoint,guard,samples]"]  # fmt: skip
STAGES = ["parallelism=pipeline", "parallelism.devices=2", "parallelism.micro_batches=2"]
# Whole words leave some rows a few masks short, so that a mean of means would be another loss.
WORDS = ["model=bert", "objective=mlm", "objective.whole_word=true", "sequence_length=64"]
KINDS = {
    "clm": ["position=rope", "corpus.document_mask=true", *TEXTS],
    "mlm": [*WORDS, "global_batch_size=8", "trainer.accumulate_grad_batches=2"],
}


@pytest.mark.parametrize("kind", fast_slow_soak(KINDS, slow=["clm"]))
def test_two_stages_equal_one_process(train: Train, same: Same, kind: str):
    alone = train(*LONG, *KINDS[kind], folder="alone")
    for schedule in ("gpipe", "1f1b"):
        chosen = f"parallelism.schedule={schedule}"
        pair = train(*LONG, *KINDS[kind], *STAGES, chosen, folder=schedule)
        assert len(read_metrics(pair.metrics)) == 8
        same(alone, pair)


@pytest.mark.soak
def test_two_copies_of_two_stages_equal_one_process(train: Train, same: Same):
    alone = train(*LONG, *WORDS, folder="alone")
    copies = ["parallelism.devices=4", "parallelism.data_parallel=2"]
    four = train(*LONG, *WORDS, *STAGES, *copies, folder="four")
    assert len(read_metrics(four.metrics)) == 8
    same(alone, four)


@pytest.mark.soak
def test_a_checkpoint_resumes_under_another_option(train: Train, same: Same):
    """Saved by a pipeline, it goes on under ddp; what that saves goes on under a pipeline."""
    constant = [*SMALL, "scheduler=constant", "callbacks=[checkpoint]", "layer_decay=0.9"]
    straight = train(*constant, "budget.steps=9", folder="straight")
    folder = train(*constant, "budget.steps=3", *STAGES)
    states = [torch.load(f.checkpoints / "last.ckpt", weights_only=True)
              for f in (folder, straight)]  # fmt: skip
    assert states[0]["state_dict"].keys() == states[1]["state_dict"].keys()
    kept, known = (state["optimizer_states"][0] for state in states)
    assert kept["state"].keys() == known["state"].keys()
    for group, other in zip(kept["param_groups"], known["param_groups"], strict=True):
        assert group["params"] == other["params"]
    train(*constant, "budget.steps=6", "parallelism=ddp", f"resume={folder.path}")
    train(*constant, "budget.steps=9", *STAGES, f"resume={folder.path}")
    same(straight, folder)


def test_stages_are_neighbours_and_copies_read_their_own_rows():
    spread = Pipeline(devices=4, data_parallel=2)
    assert (spread.stages, spread.shares) == (2, 2)
    assert [spread.share(rank) for rank in range(4)] == [0, 0, 1, 1]


def test_a_model_that_cannot_be_cut_is_refused():
    sizes = {"layers": 2, "width": 8, "heads": 2, "vocab_size": 8, "context_length": 8}
    model = GPTConfig(**sizes).build("causal_lm")
    Pipeline(devices=2).check(model)
    with pytest.raises(InputError, match=r"3 stages need as many blocks.*model\.layers=3"):
        Pipeline(devices=3).check(model)
    with pytest.raises(InputError, match="Linear does not say how its blocks follow"):
        Pipeline(devices=2).check(torch.nn.Linear(2, 2))
