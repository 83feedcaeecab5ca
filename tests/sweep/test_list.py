"""Values side by side."""

from collections.abc import Callable

import pytest

from loomlab.errors import InputError
from loomlab.sweep.plan import Plan

Planned = Callable[..., Plan]


def test_the_first_with_the_first(planned: Planned):
    made = planned("sweep=list", "model=gpt", "optimizer=adamw,sgd", "optimizer.lr=1,2")
    assert [job.overrides for job in made.jobs] == [
        ["model=gpt", "optimizer=adamw", "optimizer.lr=1"],
        ["model=gpt", "optimizer=sgd", "optimizer.lr=2"],
    ]


def test_discrete_values_of_spaces_are_combined_with_each(planned: Planned):
    made = planned("sweep=list", "optimizer=sgd", "optimizer.lr=1,2", "seed=1,2",
                   "sweep.search=[optimizer]")  # fmt: skip
    assert [list(job.differs.values()) for job in made.jobs] == [
        [lr, lr, momentum] for lr in ("1", "2") for momentum in ("0.8", "0.9", "0.95")
    ]


def test_lengths_that_differ(planned: Planned):
    with pytest.raises(InputError) as refusal:
        planned("sweep=list", "seed=1,2", "optimizer.lr=0.1,0.2,0.3", "model=gpt")
    said = str(refusal.value)
    assert "seed has 2, optimizer.lr has 3: give as many of each" in said


def test_interval_has_no_values(planned: Planned):
    with pytest.raises(InputError, match=r"optimizer.lr: an interval"):
        planned("sweep=list", "optimizer.lr=interval(1,2)")


def test_seeds_are_a_preset(planned: Planned):
    made = planned("sweep=seeds", "model=gpt,gpt_tiny", "seed=7")
    assert [(j.differs["model"], j.differs["seed"]) for j in made.jobs] == [
        (model, seed) for model in ("gpt", "gpt_tiny") for seed in ("7", "8", "9")
    ]
    assert len(planned("sweep=seeds", "sweep.repeat=2").jobs) == 2
