"""Settings of a search that do not go together are refused by name, without optuna."""

from collections.abc import Callable

import pytest

from loomlab.errors import InputError
from loomlab.sweep.optuna_check import problems
from loomlab.sweep.plan import Plan

TWO = ["val/loss", "parameters"]


def test_settings_that_go_together():
    assert problems({}) == []
    assert problems({"sampler": "cmaes", "pruner": "asha", "objectives": ["val/loss"]}) == []
    assert problems({"objectives": TWO, "directions": ["min", "min"], "pruner": "none"}) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"objectives": TWO, "directions": ["min"], "pruner": "none"}, "1 for 2 objectives"),
        ({"directions": ["up", "min"], "objectives": TWO, "pruner": "none"}, "up is no direction"),
        ({"objectives": ["val/loss"] * 2, "pruner": "none"}, "one is named twice"),
        ({"objectives": TWO, "sampler": "cmaes", "pruner": "none"}, "sampler: cmaes follows one"),
        ({"objectives": TWO, "pruner": "asha"}, "pruner: with several objectives"),
        ({"objectives": ["parameters"], "pruner": "asha"}, "not measured during training"),
        ({"repeat": 3}, "repeat: a search judges a trial by one run"),
    ],
)
def test_settings_that_do_not(settings: dict, said: str):
    (found,) = problems(settings)
    assert said in found


def test_packages_that_are_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("loomlab.sweep.optuna_check.find_spec", lambda name: None)
    said = " ".join(problems({"sampler": "cmaes"}))
    assert "optuna is not installed: pip install 'loomlab[optuna]'" in said
    assert "cmaes is not installed" in said
    assert "cmaes" not in " ".join(problems({"sampler": "tpe"}))


def test_they_are_checked_before_anything_else(planned: Callable[..., Plan]):
    with pytest.raises(InputError, match=r"sweep.repeat: a search judges a trial by one run"):
        planned("sweep=optuna", "sweep.repeat=2", "seed=1,2")
