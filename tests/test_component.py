"""Components are built only from allowed code, and only as what they should be."""

import pytest

from loomlab.attention.base import Attention
from loomlab.attention.sliding_window import SlidingWindow
from loomlab.component import build_component
from loomlab.errors import InputError
from loomlab.position.base import Position

OUTSIDE = """
from loomlab.attention.full import Full

class Mine(Full):
    pass
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A module of the user's that defines an attention."""
    (tmp_path / "weaver.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)
    return {"_target_": "weaver.Mine"}


def test_settings_reach_the_component():
    spec = {"_target_": "loomlab.attention.sliding_window.SlidingWindow", "window": 7}
    attention = build_component(spec, Attention)
    assert isinstance(attention, SlidingWindow)
    assert attention.window == 7
    assert spec["window"] == 7


def test_values_of_the_run_reach_it_beside_its_settings():
    spec = {"_target_": "loomlab.position.sinusoidal.Sinusoidal", "base": 9.0}
    position = build_component(spec, Position, width=6, heads=2, context_length=16)
    assert (position.base, position.width, position.context_length) == (9.0, 6, 16)


def test_code_from_elsewhere_is_not_imported(outside, monkeypatch):
    monkeypatch.delenv("LOOM_ALLOW", raising=False)
    with pytest.raises(InputError, match=r"LOOM_ALLOW=weaver\."):
        build_component(outside, Attention)


def test_code_from_elsewhere_runs_once_allowed(outside, monkeypatch):
    monkeypatch.setenv("LOOM_ALLOW", "something, weaver")
    assert type(build_component(outside, Attention)).__name__ == "Mine"


@pytest.mark.parametrize("prefix", ["weave", "", "weaver.Mine", " , "])
def test_a_prefix_allows_whole_names_only(outside, monkeypatch, prefix):
    monkeypatch.setenv("LOOM_ALLOW", prefix)
    with pytest.raises(InputError, match="outside loomlab"):
        build_component(outside, Attention)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "full name of a class"),
        ({"_target_": "Full"}, "full name of a class"),
        ({"_target_": "loomlab.attention.absent.Full"}, "cannot be imported"),
        ({"_target_": "loomlab.attention.full.Fall"}, "cannot be imported"),
        ({"_target_": "loomlab.attention.full.F"}, "really module"),
        ({"_target_": "loomlab.model.transformer.loss_options"}, "none of the classes"),
        ({"_target_": "loomlab.position.none.NoPosition"}, "not a kind of"),
        ({"_target_": "loomlab.attention.full.Full", "window": 3}, "does not take"),
    ],
)
def test_a_wrong_spec_is_refused_in_words(spec, message):
    with pytest.raises(InputError, match=message):
        build_component(spec, Attention)
