"""What a search is after, from what runs are compared by or from names."""

import math

import pytest
from omegaconf import DictConfig, OmegaConf

from loomlab.errors import InputError
from loomlab.sweep.goals import Goal, goals, reached


def config(objective: str = "clm.CausalLM", metric: str | None = None) -> DictConfig:
    target = f"loomlab.objective.{objective}"
    return OmegaConf.create({"metric": metric, "objective": {"_target_": target}})


LABELS = "classification.Classification"


def test_what_runs_are_compared_by():
    assert goals([], [], [config(), config()]) == [Goal("val/bits_per_byte", "min")]
    assert goals([], [], [config(LABELS)]) == [Goal("val/accuracy", "max")]
    assert goals([], [], [config(metric="val/perplexity")]) == [Goal("val/perplexity", "min")]


def test_directions_of_names_are_known_or_given():
    names = ["val/accuracy", "parameters"]
    assert [g.direction for g in goals(names, [], [config()])] == ["max", "min"]
    assert [g.direction for g in goals(names, ["max", "max"], [config()])] == ["max", "max"]


def test_runs_that_are_compared_by_different_numbers():
    with pytest.raises(InputError, match="by val/accuracy and val/bits_per_byte; say which"):
        goals([], [], [config(), config(LABELS)])
    assert goals(["val/loss"], [], [config(), config(LABELS)])


def test_a_number_that_is_not_reported():
    with pytest.raises(InputError, match="'val/perplexty'; did you mean val/perplexity"):
        goals(["val/perplexty"], [], [config()])
    with pytest.raises(InputError, match="not every run reports 'val/bits_per_byte'"):
        goals(["val/bits_per_byte"], [], [config(), config(LABELS)])


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ({"best": {"val/loss": 2}, "parameters": 7}, [2.0, 7.0]),
        ({"best": {"val/loss": math.nan}, "parameters": 7}, None),
        ({"best": {"val/loss": math.inf}, "parameters": 7}, None),
        ({"best": {"val/loss": 2}}, None),
        ({"parameters": 7}, None),
        ({"best": {"val/loss": 2}, "parameters": 7, "corpus": {"unknown_share": 0.2}}, None),
        ({}, None),
    ],
)
def test_numbers_of_a_run(summary: dict, expected: list[float] | None):
    assert reached([Goal("val/loss", "min"), Goal("parameters", "min")], summary) == expected
