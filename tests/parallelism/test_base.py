"""However a run is spread, it is the run of one process: losses, weights, and what reads it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.marks import fast_slow_soak

from loomlab.parallelism.base import Parallelism, global_rank, in_nodes
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics

Train = Callable[..., RunFolder]
REVIEWS = Path(__file__).parents[1] / "data" / "reviews.csv"
GIVEN = [
    "model.layers=2", "model.width=16", "model.heads=2", "runtime=plain", "budget.steps=20",
    "trainer.gradient_clip_val=0.1", "trainer.val_every_n_steps=10",
    "trainer.limit_val_batches=null",
]  # fmt: skip
OBJECTIVES = {
    "clm": ["model=gpt"],
    "mlm": ["model=bert", "objective=mlm"],
    "classification": [
        *("model=bert", "objective=classification", "corpus=labelled", f"corpus.path={REVIEWS}"),
    ],
}
OPTIONS = ["ddp", "fsdp2", "tp", "fsdp2_tp"]
PAIRS = [(option, objective) for option in OPTIONS for objective in OBJECTIVES]


@pytest.mark.parametrize(
    "pair", fast_slow_soak(PAIRS, slow=[("tp", "classification")]), ids="-".join
)
@pytest.mark.usefixtures("warm_ranks")
def test_twenty_clipped_steps_are_those_of_one_process(
    train: Train, train_once: Train, same: Callable[[RunFolder, RunFolder], None],
    pair: tuple[str, str],
):  # fmt: skip
    option, objective = pair
    alone = train_once(*GIVEN, *OBJECTIVES[objective])
    assert len(read_metrics(alone.metrics)) == 20
    same(alone, train(*GIVEN, *OBJECTIVES[objective], f"parallelism={option}"))


@pytest.mark.soak
@pytest.mark.parametrize("option", [*OPTIONS, "pipeline"])
@pytest.mark.usefixtures("warm_ranks")
def test_half_precision_is_that_of_one_process(train: Train, train_once: Train, option: str):
    """But for sums that are rounded in another order, to 8 bits."""
    alone = train_once(*GIVEN, "precision=bf16")
    pair = train(*GIVEN, "precision=bf16", f"parallelism={option}")
    assert pair.summary()["precision"] == "bf16-mixed"
    for row, other in zip(read_metrics(alone.metrics), read_metrics(pair.metrics), strict=True):
        assert other["train/loss"] == pytest.approx(row["train/loss"], abs=2e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("warm_ranks")
def test_one_process_reads_what_several_have_saved(
    train: Train, ended: Callable[..., tuple[int, str]], tmp_path: Path
):
    run = train(*GIVEN, "budget.steps=2", "callbacks=[checkpoint]", "parallelism=fsdp2_tp")
    smaller = ["compression=[quantize_int8]", f"paths.output_dir={tmp_path / 'small'}"]
    for verb in (["evaluate"], ["generate", "--prompt", "It was"], ["compress", *smaller]):
        code, said = ended(verb[0], run.path, *verb[1:])
        assert code == 0, said
    before = RunFolder(tmp_path / "small").summary()["compressed"]["before"]["val/loss"]
    assert before == pytest.approx(run.summary()["best"]["val/loss"], abs=1e-5)


def test_one_process_is_all_there_is():
    option = Parallelism()
    assert (option.world_size, option.shares, option.share(0)) == (1, 1, 0)
    assert option.timeout <= 300


def test_processes_fill_nodes():
    assert in_nodes(4, 8) == {"devices": 4, "num_nodes": 1}
    assert in_nodes(16, 8) == {"devices": 8, "num_nodes": 2}


def test_rank_of_a_further_process(monkeypatch: pytest.MonkeyPatch):
    assert global_rank(2) == 0
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert global_rank(2) == 1
    monkeypatch.setenv("NODE_RANK", "3")
    assert global_rank(2) == 7
