"""Which jobs are the same job, and which are not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loomlab.sweep.identity import code_version
from loomlab.sweep.plan import Plan

Planned = Callable[..., Plan]


def key(planned: Planned, *overrides: str) -> str:
    return planned(*overrides).jobs[0].key


@pytest.mark.parametrize(
    "override",
    ["paths.cache_dir=/tmp/x", "logger=none", "name=mine", "precision=bf16", "runtime=plain",
     "launch.n_parallel=2", "sweep.retry=1", "parallelism=ddp"],
)  # fmt: skip
def test_what_does_not_decide_the_result(planned: Planned, override: str):
    assert key(planned, override) == key(planned)


@pytest.mark.parametrize(
    "override",
    ["seed=2", "optimizer=sgd", "optimizer.lr=0.1", "model.width=64", "budget.steps=7",
     "regularization=[ema]", "trainer.gradient_clip_val=2", "callbacks=[early_stop]"],
)  # fmt: skip
def test_what_decides_it(planned: Planned, override: str):
    assert key(planned, override) != key(planned)


def test_a_speed_axis_counts_where_it_is_swept(planned: Planned):
    assert len(planned("precision=fp32,bf16").jobs) == 2
    assert len(planned("logger=none,csv").jobs) == 2
    assert len(planned("seed=1,2", "precision=bf16").jobs) == 2


def test_the_same_job_twice_runs_once(planned: Planned):
    made = planned("seed=1,2,1", "optimizer.lr=0.001,1e-3")
    assert len(made.jobs) == 2
    assert made.same == [(1, 0), (3, 2), (4, 0), (5, 0)]
    assert [job.number for job in made.jobs] == [0, 2]


def test_a_corpus_counts_by_its_text(planned: Planned, tmp_path: Path):
    for name, text in (("a", "one\n"), ("b", "one\n"), ("c", "two\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    keys = [key(planned, "corpus=text", f"corpus.path={tmp_path}/{n}.txt") for n in "abc"]
    assert keys[0] == keys[1] != keys[2]


def test_code_counts(tmp_path: Path):
    (tmp_path / "conf").mkdir()
    module = tmp_path / "mine.py"
    module.write_text("a = 1\n")
    before = code_version([tmp_path / "conf"])
    assert code_version([tmp_path / "conf"]) == before != code_version()
    module.write_text("a = 2\n")
    assert code_version([tmp_path / "conf"]) != before
