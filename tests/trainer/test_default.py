"""Lightning's trainer as a run uses it: its few own settings, and any other behind a `+`."""

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file

from loomlab.compose.gate import check
from loomlab.run.folder import RunFolder
from loomlab.run.metrics_file import read_metrics
from loomlab.trainer.default import VALIDATION_INTERVAL_IF_TIMED, Trainer

Train = Callable[..., RunFolder]
SMALL = ["model.layers=1", "model.width=16", "model.heads=2", "runtime=plain"]
SGD = ["optimizer=sgd", "optimizer.lr=1", "optimizer.momentum=0", "scheduler=constant"]
ONE = [*SGD, "scheduler.warmup=0", "optimizer.weight_decay=0", "budget.steps=1"]


def trainer(total_steps: int | None = 10, **settings: object) -> Trainer:
    return Trainer(total_steps=total_steps, logger=False, accelerator="cpu", **settings)


def test_gradient_is_clipped_by_its_norm(train: Train):
    still = train(*SMALL, *ONE, "optimizer.lr=1e-30", folder="still")
    before = load_file(still.model / "model.safetensors")

    def step_length(clip: float | str) -> float:
        """How far one step of SGD at rate 1 goes: the norm of the gradient after clipping."""
        moved = train(*SMALL, *ONE, f"trainer.gradient_clip_val={clip}", folder=f"clip-{clip}")
        after = load_file(moved.model / "model.safetensors")
        return float(torch.cat([(after[k] - before[k]).flatten() for k in before]).norm())

    free = step_length("null")
    assert free > 0.1
    assert step_length(0.05) == pytest.approx(0.05, rel=1e-3)
    assert step_length(100 * free) == pytest.approx(free, rel=1e-5)


def test_clipping_is_on_by_default():
    assert trainer().gradient_clip_val == 1.0


@pytest.mark.parametrize(
    ("total", "given", "accumulate", "interval"),
    [
        *[(10, None, 1, 10), (3, None, 1, 3), (30, None, 1, 15), (10, 3, 1, 3), (10, 3, 4, 12)],
        *[(1000, None, 1, 200), (1000, None, 2, 400)],
    ],
)
def test_validation_interval_counts_optimizer_steps(
    total: int, given: int | None, accumulate: int, interval: int
):
    made = trainer(total, val_every_n_steps=given, accumulate_grad_batches=accumulate)
    assert made.val_check_interval == interval
    assert made.max_steps == total


def test_so_many_batches_each_say_how_often_they_are_worth_it():
    assert trainer(10, limit_val_batches=2).val_check_interval == 2
    assert trainer(3, limit_val_batches=2).val_check_interval == 1


@pytest.mark.parametrize(
    ("total", "settings", "batches"),
    [
        (20, {}, 12),
        (1000, {}, 120),
        (1000, {"accumulate_grad_batches": 4}, 480),
        (1000, {"val_share": 0.1}, 60),
        (1000, {"val_every_n_steps": 10}, 6),
        (1000, {"val_every_n_steps": 1}, 1),
        (5, {"val_every_n_steps": 100}, 3),
        (None, {}, 120),
    ],
    ids=str,
)
def test_validations_take_a_fifth_of_training(total: int | None, settings: dict, batches: int):
    """A step on a batch costs what scoring three does: 0.6 batches for each step."""
    assert trainer(total, **settings).validation_batches == batches


def test_all_is_read_at_the_end_and_a_part_before(train: Train, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "loomlab")
    given = [*SMALL, "budget.steps=20", "optimizer.lr=0.01", "trainer.limit_val_batches=null"]
    part = train(*given, "callbacks=[checkpoint]", folder="part")
    whole = train(*given, "callbacks=[checkpoint]", "trainer.val_share=100", folder="whole")
    (row,) = (r for r in read_metrics(part.metrics) if "val/loss" in r)
    assert row["step"] == 20
    held_out = part.summary()["corpus"]["validation_tokens"]
    assert f"of {held_out:,} held-out tokens (trainer.val_share), the last one all" in caplog.text
    assert part.summary()["final"] == part.summary()["best"]
    assert row["val/loss"] != pytest.approx(part.summary()["final"]["val/loss"], abs=1e-6)
    last = [r for r in read_metrics(whole.metrics) if "val/loss" in r][-1]
    assert last["val/loss"] == pytest.approx(part.summary()["final"]["val/loss"], abs=1e-6)


def test_timed_run_has_no_last_step():
    made = trainer(None)
    assert (made.max_steps, made.max_epochs) == (-1, -1)
    assert made.val_check_interval == VALIDATION_INTERVAL_IF_TIMED


def test_accumulation_takes_whole_steps(train: Train):
    folder = train(*SMALL, "trainer.accumulate_grad_batches=4", "budget.steps=3")
    rows = read_metrics(folder.metrics)
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert [row["tokens"] for row in rows] == [64, 128, 192]
    assert folder.summary()["steps"] == 3


def test_log_every_n_steps(train: Train):
    folder = train(
        *SMALL, "trainer.log_every_n_steps=2", "trainer.val_every_n_steps=5", "budget.steps=5"
    )
    rows = read_metrics(folder.metrics)
    assert [row["step"] for row in rows if "train/loss" in row] == [2, 4]
    assert [row["step"] for row in rows if "val/loss" in row] == [5]


def test_the_last_step_is_validated_and_its_weights_saved_if_they_are_the_best(train: Train):
    """Between 6 and 8 nothing is due, and the run still gets better."""
    more = ["trainer.val_every_n_steps=3", "trainer.limit_val_batches=2", "optimizer.lr=1e-2"]
    folder = train(*SMALL, *more, "budget.steps=8", "callbacks=[checkpoint]")
    rows = {r["step"]: r["val/loss"] for r in read_metrics(folder.metrics) if "val/loss" in r}
    assert list(rows) == [3, 6, 8]
    assert min(rows, key=rows.__getitem__) == 8, "this run is meant to get better"
    assert folder.summary()["final"]["val/loss"] == pytest.approx(rows[8], rel=1e-6)
    assert folder.summary()["best"] == folder.summary()["final"]
    last = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)
    saved = load_file(folder.model / "model.safetensors")
    assert last["global_step"] == 8
    assert all(torch.equal(last["state_dict"][f"model.{k}"], v) for k, v in saved.items())


def test_a_run_without_a_validation_in_between_ends_with_one(train: Train):
    folder = train(*SMALL, "trainer.limit_val_batches=1", "trainer.val_every_n_steps=100")
    assert folder.summary()["final"] == folder.summary()["best"]
    assert folder.summary()["best"]["val/loss"] > 0


def test_settings_of_lightning_reach_it(train: Train):
    """Epochs of two batches: the run ends with them, not with its budget."""
    more = ["+trainer.limit_train_batches=2", "+trainer.detect_anomaly=true", "budget.steps=5"]
    assert train(*SMALL, *more).summary()["steps"] == 5
    assert trainer(limit_train_batches=2).limit_train_batches == 2


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+trainer.limit_train_batch=2", "did you mean limit_train_batches?"),
        ("+trainer.no_such_thing=1", "Trainer has no setting 'no_such_thing'"),
        ("+trainer.total_steps=3", "given at run time and cannot be configured"),
        ("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val"),
        ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches"),
        ("trainer.log_every_n_steps=0", "trainer.log_every_n_steps"),
        ("trainer.limit_val_batches=0", "trainer.limit_val_batches"),
        ("+trainer.overfit_batches=1", "is decided by the run itself; debug=overfit"),
        ("+trainer.barebones=true", "is decided by the run itself; choose with logger=none"),
        ("+trainer.fast_dev_run=true", "is decided by the run itself; debug=one_step"),
        ("+trainer.limit_test_batches=2", "is decided by the run itself; set limit_val"),
        ("+trainer.max_epochs=3", "trainer.max_epochs: is decided by the run itself; set budget."),
        ("+trainer.callbacks=[]", "trainer.callbacks: is decided by the run itself; choose with"),
        ("+trainer.precision=64", "choose with precision=OPTION"),
    ],
)
def test_gate_refuses(override: str, words: str, tiny: Callable[..., list[str]]):
    checked = check(tiny(*SMALL, override))
    assert checked.problems
    assert words in checked.message()
