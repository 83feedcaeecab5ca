"""Answers that are kept: the teacher is asked once, and no student can tell the difference."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tests.marks import fast_slow_soak

from loomlab.run.folder import RunFolder

Train = Callable[..., RunFolder]
REVIEWS = Path(__file__).parents[1] / "data" / "reviews.csv"
SMALL = ["model.layers=2", "model.width=16", "model.heads=2", "runtime=plain"]
TEACHER = [*SMALL, "budget.steps=4", "optimizer.lr=0.02", "callbacks=[]"]
KINDS = {
    "clm": [],
    "mlm": ["model=bert", "objective=mlm"],
    "classification": [
        "model=bert", "objective=classification", "corpus=labelled", f"corpus.path={REVIEWS}",
    ],
}  # fmt: skip


def told(run: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = run.summary()["compression"]["Distill"]
    return found


def same(one: RunFolder, other: RunFolder) -> bool:
    first, second = (load_file(r.model / "model.safetensors") for r in (one, other))
    return all(bool((second[key] == value).all()) for key, value in first.items())


def student(train: Train, teacher: RunFolder, *more: str, folder: str) -> RunFolder:
    named = ["compression=[distill]", f"compression.distill.teacher={teacher.path}"]
    return train(*SMALL, *named, "budget.steps=3", *more, folder=folder)


@pytest.mark.parametrize(
    "kind", fast_slow_soak(KINDS, fast=["clm"], slow=["mlm", "classification"])
)
def test_a_second_student_asks_nothing(train: Train, train_once: Train, tmp_path: Path, kind: str):
    teacher = train_once(*TEACHER, *KINDS[kind])
    cache = f"compression.distill.cache={tmp_path / 'answers'}"
    first = student(train, teacher, *KINDS[kind], cache, folder="first")
    again = student(train, teacher, *KINDS[kind], cache, folder="again")
    assert told(first)["teacher_samples"] == told(again)["teacher_samples_kept"] > 0
    assert told(again)["teacher_samples"] == 0
    assert same(first, again)
    if kind == "clm":
        smaller = student(train, teacher, cache, "model.width=8", folder="smaller")
        assert told(smaller)["teacher_samples"] == 0


@pytest.mark.slow
def test_all_classes_are_the_whole_answer(train: Train, train_once: Train, tmp_path: Path):
    """With 260 tokens, 259 and the rest are all there are; they are kept in 16-bit floats."""
    teacher = train_once(*TEACHER)
    cache = [f"compression.distill.cache={tmp_path / 'answers'}"]
    plain = student(train, teacher, folder="plain")
    kept = student(train, teacher, *cache, "compression.distill.cache_classes=400", folder="kept")
    few = student(train, teacher, *cache, "compression.distill.cache_classes=2", folder="few")
    losses = [run.summary()["final"]["val/loss"] for run in (plain, kept, few)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert len(list((tmp_path / "answers").iterdir())) == 2, "each number of classes by itself"


@pytest.mark.slow
def test_another_teacher_and_damaged_answers_are_not_taken(
    train: Train, train_once: Train, tmp_path: Path
):
    cache = f"compression.distill.cache={tmp_path / 'answers'}"
    one, other = train_once(*TEACHER), train(*TEACHER, "seed=2", folder="other")
    first = student(train, one, cache, folder="first")
    assert told(student(train, other, cache, folder="second"))["teacher_samples_kept"] == 0
    for path in (tmp_path / "answers").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:40])
    again = student(train, one, cache, folder="again")
    assert told(again)["teacher_samples_kept"] == 0
    assert same(first, again)


def test_a_folder_that_cannot_be_written_only_costs_time(
    train: Train, train_once: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    teacher = train_once(*TEACHER)
    (tmp_path / "answers").write_text("in the way")
    run = student(
        train, teacher, f"compression.distill.cache={tmp_path / 'answers'}", folder="run"
    )
    assert run.summary()["status"] == "finished"
    assert caplog.text.count("no more answers are kept") == 1


def test_what_cannot_be_kept_is_refused(refused: Callable[..., str], tmp_path: Path):
    given = ["compression=[distill]", "compression.distill.teacher=self"]
    cache = f"compression.distill.cache={tmp_path / 'answers'}"
    said = refused(*given, cache, "compression.distill.inner=minilm", model=SMALL[:3])
    assert "leave one of them out" in said
    labels = [f"corpus.path={REVIEWS}", "objective.multi_label=true"]
    said = refused(
        *given, cache, "objective=classification", "corpus=labelled", *labels, model=SMALL[:3]
    )
    assert "not the likeliest" in said
